"""The vocabulary of the generated text: adjectives by meaning, nouns by class, verbs by frame.

An adjective belongs to one group of synonyms, and a group to a pair of opposites (some have no opposite).
Classes say what an adjective can describe: P person, A animal, V vehicle, O object, L place, F food,
E event or idea. No content word belongs to two groups, so that a synonym is always unambiguous.
"""

from dataclasses import dataclass
from functools import cache

_ADJECTIVES = """
quick swift fast | slow sluggish unhurried : PAV
big large huge | small little tiny : PAVOLF
happy glad cheerful | sad unhappy gloomy : PA
clever smart intelligent | stupid foolish silly : PA
brave bold fearless | timid fearful cowardly : PA
strong powerful mighty | weak feeble frail : PA
rich wealthy prosperous | poor needy penniless : P
old ancient aged | young youthful newborn : PA
new modern recent | worn shabby ragged : VO
hot warm heated | cold chilly icy : FLE
loud noisy deafening | quiet silent hushed : PALEV
angry furious mad | calm peaceful relaxed : PA
kind gentle caring | cruel mean nasty : PA
beautiful pretty lovely | ugly hideous unsightly : PAOLV
clean spotless tidy | dirty filthy grimy : AOLV
wet soaked damp | dry arid parched : OLA
tired weary sleepy | energetic lively active : PA
fat plump chubby | thin slim lean : PA
tall high towering | short low squat : LO
easy simple effortless | hard difficult tough : E
famous renowned celebrated | unknown obscure nameless : PLE
funny amusing humorous | serious solemn grave : PE
bright shiny gleaming | dark dim murky : OLV
heavy weighty hefty | light airy weightless : OF
safe secure protected | dangerous risky perilous : LEV
rough coarse bumpy | smooth silky sleek : O
sharp pointed jagged | blunt rounded dull : O
expensive costly pricey | cheap inexpensive affordable : VOF
tasty delicious yummy | bland tasteless unsavory : F
fresh crisp ripe | stale rotten moldy : F
sweet sugary honeyed | sour bitter tart : F
wide broad roomy | narrow tight cramped : L
empty vacant bare | crowded packed full : LV
strange odd weird | normal ordinary usual : PAOLE
friendly sociable amiable | hostile unfriendly unkind : PA
honest truthful sincere | sly deceitful sneaky : P
polite courteous respectful | rude impolite insolent : P
lazy idle inactive | busy industrious hardworking : PA
proud haughty arrogant | humble modest meek : P
important vital crucial | minor trivial petty : E
wild fierce savage | tame docile obedient : A
soft fluffy cuddly | firm solid rigid : O
good great excellent | bad terrible awful : PFEOL
curious inquisitive nosy | bored indifferent uninterested : PA
nervous anxious worried | confident composed poised : P
lonely solitary lonesome | popular beloved admired : P
sick ill unwell | healthy fit robust : PA
broken damaged cracked | sturdy durable stable : OV
real genuine authentic | fake false bogus : OE
rare uncommon scarce | common frequent widespread : OAE
long lengthy extended | brief fleeting momentary : E
boring tedious dreary | exciting thrilling gripping : E
lucky fortunate blessed | unlucky unfortunate doomed : P
secret hidden concealed | obvious clear plain : LE
careful cautious wary | careless reckless hasty : P
generous charitable unselfish | greedy selfish stingy : P
faithful loyal devoted | treacherous disloyal unfaithful : PA
wise sensible prudent | naive gullible innocent : P
messy cluttered untidy | neat orderly trim : LO
perfect flawless ideal | faulty flawed defective : OV
distant remote faraway | nearby adjacent neighboring : L
graceful nimble agile | clumsy awkward ungainly : PA
stormy windy gusty | sunny cloudless balmy : E
hungry starving famished : PA
grumpy cranky moody : PA
scared frightened terrified : PA
surprised amazed astonished : P
playful frisky mischievous : A
magic magical enchanted : OL
splendid magnificent grand : LOV
stubborn obstinate headstrong : PA
thick dense chunky : OF
"""

_NOUNS = {
    "P": "man/men woman/women boy girl child/children teacher doctor farmer king queen soldier student baker sailor "
    "painter singer writer lawyer nurse judge driver hunter guard prince princess uncle aunt brother sister mother "
    "father friend neighbor knight wizard witch pirate clerk tailor gardener actor dancer scientist poet "
    "thief/thieves",
    "A": "dog cat fox wolf/wolves bear horse cow pig lion tiger elephant mouse/mice rabbit bird owl eagle frog snake "
    "turtle monkey donkey goat bee ant spider kitten puppy squirrel crow hen goose/geese",
    "V": "car truck boat ship train bike wagon bus",
    "O": "ball table chair book lamp box cup hat coat shirt shoe boot blanket pillow knife/knives spoon clock mirror "
    "door window rope bag basket bottle bell key ring coin sword shield crown candle letter map stone toy doll "
    "guitar drum piano engine tool",
    "L": "house castle room garden forest river road street bridge park school town village city valley hill mountain "
    "lake island farm market shop tower cave beach field path hall kitchen library temple",
    "F": "apple cake soup pie sandwich peach pear plum cookie meal dinner cherry tomato/tomatoes potato/potatoes "
    "onion carrot burger salad",
    "E": "story song day night idea question answer lesson game trip dream plan speech movie dance party problem "
    "task test joke poem morning evening year week",
}

# frame: the prepositions after the verb ("-" takes a direct object), then subject classes, then object classes
_VERBS = """
jump leap bound : over across into : PA : PAVOL
run sprint dash : to through past around : PA : LVPA
walk stroll wander : to through past around : PA : L
crawl creep sneak : under across behind : PA : LOV
fly soar glide : over across past : A : LVP
sit rest perch : on near beside : PA : LO
stand wait stay : near beside behind : PA : LVPA
hide lurk crouch : behind under near : PA : OLV
fall tumble drop : into on under : PAO : LV
look gaze stare : at : PA : PAVOLF
shout yell scream : at : P : PA
talk speak chat : to with : P : P
smile grin beam : at : P : PA
laugh giggle chuckle : at : P : PAE
sleep doze nap : in near under beside : PA : LV
escape flee bolt : from : PA : PAL
see spot notice : - : PA : PAVOLF
find discover locate : - : PA : PAVOLF
like enjoy adore : - : PA : PAVOLFE
hate dislike detest : - : PA : PAVOLFE
want desire crave : - : PA : VOFE
watch observe study : - : P : PAVOLE
follow trail pursue : - : PAV : PAV
help assist aid : - : PA : PA
chase hunt track : - : PA : A
push shove nudge : - : PA : PAVO
pull drag tug : - : PA : VO
carry haul lug : - : PA : OF
throw toss hurl : - : P : OF
grab seize snatch : - : PA : OF
smash shatter crush : - : PA : O
fix repair mend : - : P : VO
wash scrub rinse : - : P : VOF
build construct create : - : P : VOL
buy purchase acquire : - : P : VOFL
eat devour gobble : - : PA : F
visit tour explore : - : P : L
draw sketch depict : - : P : PAVOL
remember recall recollect : - : P : PLE
hold clutch grip : - : P : OF
show display present : - : P : OVF
save rescue free : - : P : PA
meet greet welcome : - : P : P
kick hit strike : - : PA : OV
"""

_IRREGULAR_PAST = {
    "run": "ran", "creep": "crept", "fly": "flew", "sit": "sat", "stand": "stood", "hide": "hid", "fall": "fell",
    "speak": "spoke", "sleep": "slept", "flee": "fled", "see": "saw", "find": "found", "throw": "threw",
    "build": "built", "buy": "bought", "eat": "ate", "draw": "drew", "hold": "held", "meet": "met", "hit": "hit",
    "strike": "struck", "nap": "napped", "chat": "chatted", "grin": "grinned", "drop": "dropped", "spot": "spotted",
    "drag": "dragged", "tug": "tugged", "lug": "lugged", "grab": "grabbed", "scrub": "scrubbed", "grip": "gripped",
    "leap": "leaped", "sneak": "sneaked",
}  # fmt: skip

COLORS = "red blue green yellow white black brown gray pink purple golden silver".split()
NUMBERS = "two three four five six seven eight nine ten".split()
NAMES = "Anna Tom Sam Lucy Peter Maria Jack Emma Ben Lily Max Nina Paul Rosa Leo Clara".split()


@dataclass(frozen=True)
class Group:
    """One meaning: its synonyms, what it describes (class letters), its opposite's index (or None), its pair."""

    words: tuple[str, ...]
    classes: str
    opposite: int | None
    pair: int


@dataclass(frozen=True)
class Noun:
    singular: str
    plural: str
    kind: str


@dataclass(frozen=True)
class Verb:
    """A group of synonymous verbs; `forms[i]` is synonym i as (third person, plain, past)."""

    forms: tuple[tuple[str, str, str], ...]
    prepositions: tuple[str, ...]
    subjects: str
    objects: str


def _plural(noun: str) -> str:
    if noun.endswith(("s", "x", "sh", "ch")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _conjugate(verb: str) -> tuple[str, str, str]:
    past = verb + "d" if verb.endswith("e") else verb + "ed"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        past = verb[:-1] + "ied"
    return _plural(verb), verb, _IRREGULAR_PAST.get(verb, past)


@cache
def groups() -> tuple[Group, ...]:
    found: list[Group] = []
    for pair, line in enumerate(_ADJECTIVES.strip().splitlines()):
        meanings, classes = line.rsplit(":", 1)
        sides = [tuple(side.split()) for side in meanings.split("|")]
        first = len(found)
        for side, words in enumerate(sides):
            opposite = first + 1 - side if len(sides) == 2 else None
            found.append(Group(words, classes.strip(), opposite, pair))
    return tuple(found)


@cache
def nouns() -> tuple[Noun, ...]:
    found = []
    for kind, words in _NOUNS.items():
        for word in words.split():
            singular, _, plural = word.partition("/")
            found.append(Noun(singular, plural or _plural(singular), kind))
    return tuple(found)


@cache
def verbs() -> tuple[Verb, ...]:
    found = []
    for line in _VERBS.strip().splitlines():
        plain, prepositions, subjects, objects = (part.split() for part in line.split(" : "))
        forms = tuple(_conjugate(verb) for verb in plain)
        kept = () if prepositions == ["-"] else tuple(prepositions)
        found.append(Verb(forms, kept, subjects[0], objects[0]))
    return tuple(found)


@cache
def adjective_group() -> dict[str, int]:
    """Which group each adjective belongs to."""
    return {word: index for index, group in enumerate(groups()) for word in group.words}


def content_words() -> list[str]:
    """Every adjective, noun and verb form, color, number and name, once, in order."""
    found = [word for group in groups() for word in group.words]
    found += [form for noun in nouns() for form in (noun.singular, noun.plural)]
    found += [form for verb in verbs() for forms in verb.forms for form in forms]
    return list(dict.fromkeys(found + COLORS + NUMBERS + NAMES))
