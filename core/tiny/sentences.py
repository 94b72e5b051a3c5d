"""Sentences with their structure kept, so that a synonym, an opposite or a removal is exact by construction.

A sentence is a tuple of `Word`s; `render` turns it into text. Which adjectives a noun may carry is decided by a
`Policy`: combinations of a noun and an adjective's meaning are held out from every training text (together with
the opposite meaning, since "reverse" would show it), and whole meanings from every fine-tuning instruction.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from core.tiny.words import COLORS, NAMES, NUMBERS, Noun, Verb, adjective_group, groups, nouns, verbs

CANONICAL = 0.8
HELD_OUT_COMBINATIONS = 0.2
HELD_OUT_MEANINGS = "strong famous rough sharp sweet rare real sick polite boring careful distant".split()
_SPLIT_SEED = 2025


@dataclass(frozen=True)
class Word:
    """One word. `group` indexes the adjective or verb group, `slot` the synonym, `form` the verb's form."""

    text: str
    kind: str = "other"
    group: int = -1
    slot: int = 0
    form: int = 0
    predicate: bool = False


Sentence = tuple[Word, ...]
Policy = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Policies:
    """Noun (singular) → adjective groups it may carry. `base` for all training text, `tune` for instructions."""

    base: Policy
    tune: Policy
    unseen_combination: Policy
    unseen_group: Policy


@dataclass(frozen=True)
class Style:
    lower: bool = False
    stop: str = "."


def held_out_pairs() -> frozenset[int]:
    """Pairs of opposite meanings that no fine-tuning instruction ever shows."""
    return frozenset(groups()[adjective_group()[word]].pair for word in HELD_OUT_MEANINGS)


def held_out_combinations() -> frozenset[tuple[int, str]]:
    """(pair, noun) that no training text ever joins; "quick fox" and "slow fox" are among them."""
    rng = Random(_SPLIT_SEED)
    pairs = {group.pair: group.classes for group in groups()}
    found = {
        (pair, noun.singular)
        for pair, classes in pairs.items()
        for noun in nouns()
        if noun.kind in classes and rng.random() < HELD_OUT_COMBINATIONS
    }
    return frozenset(found | {(0, "fox")})


def make_policies() -> Policies:
    combinations, unseen = held_out_combinations(), held_out_pairs()
    tables: list[Policy] = [{}, {}, {}, {}]
    for noun in nouns():
        fitting = [i for i, group in enumerate(groups()) if noun.kind in group.classes]
        is_out = {i: (groups()[i].pair, noun.singular) in combinations for i in fitting}
        is_new = {i: groups()[i].pair in unseen for i in fitting}
        tables[0][noun.singular] = tuple(i for i in fitting if not is_out[i])
        tables[1][noun.singular] = tuple(i for i in fitting if not is_out[i] and not is_new[i])
        tables[2][noun.singular] = tuple(i for i in fitting if is_out[i] and not is_new[i])
        tables[3][noun.singular] = tuple(i for i in fitting if not is_out[i] and is_new[i])
    return Policies(*tables)


def _noun_forms() -> dict[str, str]:
    return {form: noun.singular for noun in nouns() for form in (noun.singular, noun.plural)}


_SINGULAR = _noun_forms()
_HELD_OUT = held_out_combinations()
_FILLERS = set(COLORS) | set(NUMBERS) | set(adjective_group()) | {"and", "very", "quite", "so"}
_COPULAS = {"is", "are", "was", "were"}


def held_out_in(text: str) -> list[tuple[str, str]]:
    """Every held-out (adjective, noun) that a text joins: "quick fox", "quick brown fox", "the fox was very quick"."""
    words, found = re.findall(r"[a-z]+|[^a-z\s]", text.lower()), []
    for i, word in enumerate(words):
        group = adjective_group().get(word)
        if group is None:
            continue
        after = i + 1
        while after < len(words) and words[after] in _FILLERS:
            after += 1
        before = i - 1
        while before >= 0 and words[before] in _FILLERS:
            before -= 1
        near = [words[after]] if after < len(words) else []
        if before >= 1 and words[before] in _COPULAS:
            near.append(words[before - 1])
        pair = groups()[group].pair
        found += [(word, noun) for noun in near if (pair, _SINGULAR.get(noun, "")) in _HELD_OUT]
    return found


def synonym_slot(rng: Random, slot: int, size: int) -> int:
    """The canonical synonym is the next one of the group; the others share the rest."""
    if size == 2 or rng.random() < CANONICAL:
        return (slot + 1) % size
    return rng.choice([i for i in range(size) if i not in (slot, (slot + 1) % size)])


def _respell(word: Word, group: int, slot: int) -> Word:
    if word.kind == "verb":
        return replace(word, text=verbs()[group].forms[slot][word.form], slot=slot)
    return replace(word, text=groups()[group].words[slot], group=group, slot=slot)


def _size(word: Word) -> int:
    return len(verbs()[word.group].forms if word.kind == "verb" else groups()[word.group].words)


def rephrase(rng: Random, sentence: Sentence, kind: str, rate: float = 1.0) -> Sentence:
    """Replace the words of a kind ("adjective" or "verb") by synonyms, each with probability `rate`."""
    return tuple(
        _respell(word, word.group, synonym_slot(rng, word.slot, _size(word)))
        if word.kind == kind and rng.random() < rate
        else word
        for word in sentence
    )


def oppose(sentence: Sentence) -> Sentence:
    """Replace every adjective by the same-numbered word of its opposite."""
    return tuple(
        _respell(word, opposite, word.slot)
        if word.kind == "adjective" and (opposite := groups()[word.group].opposite) is not None
        else word
        for word in sentence
    )


def remove(sentence: Sentence) -> Sentence:
    """Leave the adjectives, colors included, out."""
    return tuple(word for word in sentence if word.kind not in ("adjective", "color"))


def adjectives_of(sentence: Sentence) -> list[int]:
    return [i for i, word in enumerate(sentence) if word.kind == "adjective"]


def article(word: str) -> str:
    """The indefinite article by the sound that the word begins with."""
    return "an" if word == "honest" or (word[0] in "aeiou" and word != "usual") else "a"


def render(sentence: Sentence, style: Style = Style()) -> str:
    """The sentence as text: "a" or "an", capital, full stop."""
    texts = [word.text for word in sentence]
    for i, text in enumerate(texts[:-1]):
        if text == "a":
            texts[i] = article(texts[i + 1])
    line = " ".join(texts).replace(" ,", ",")
    return (line if style.lower else line[0].upper() + line[1:]) + style.stop


def random_style(rng: Random) -> Style:
    return Style(lower=rng.random() < 0.15, stop="" if rng.random() < 0.15 else rng.choice("." * 19 + "!"))


class Grammar:
    """Draws sentences under one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.nouns = {kind: [noun for noun in nouns() if noun.kind == kind] for kind in "PAVOLFE"}

    def adjective(self, rng: Random, noun: Noun, avoid: frozenset[int] = frozenset()) -> Word | None:
        fitting = [i for i in self.policy[noun.singular] if groups()[i].pair not in avoid]
        if not fitting:
            return None
        group = rng.choice(fitting)
        slot = rng.randrange(len(groups()[group].words))
        return Word(groups()[group].words[slot], "adjective", group, slot)

    def noun_phrase(self, rng: Random, kinds: str, described: float = 0.6) -> tuple[list[Word], bool, Noun]:
        """Determiner, adjectives, noun; whether it is plural; the noun."""
        noun, plural = rng.choice(self.nouns[rng.choice(kinds)]), rng.random() < 0.3
        if plural:
            choices = ["the"] * 10 + ["some", "my", "his", "her", "our", "these", "many", "all the", ""]
            determiner = rng.choice(NUMBERS) if rng.random() < 0.12 else rng.choice(choices)
            if determiner in NUMBERS and rng.random() < 0.4:
                determiner = "the " + determiner
        else:
            determiner = rng.choice(["the"] * 11 + ["a"] * 5 + ["my", "his", "her", "our", "this", "that", "every"])
        words = [Word(text) for text in determiner.split()]
        if rng.random() < described and (first := self.adjective(rng, noun)):
            words.append(first)
            roll = rng.random()
            if roll < 0.12 and (second := self.adjective(rng, noun, frozenset({groups()[first.group].pair}))):
                words += [second] if roll < 0.09 else [Word("and"), second]
        if rng.random() < 0.08:
            words.append(Word(rng.choice(COLORS), "color"))
        return words + [Word(noun.plural if plural else noun.singular, "noun")], plural, noun

    def subject(self, rng: Random, kinds: str) -> tuple[list[Word], bool]:
        if "P" in kinds and rng.random() < 0.15:
            text = rng.choice(NAMES + ["he", "she", "they", "we", "he", "she"])
            return [Word(text)], text in ("they", "we")
        words, plural, _ = self.noun_phrase(rng, kinds)
        if not words[0].text or words[0].kind in ("adjective", "color"):
            words.insert(0, Word("the"))
        return words, plural

    def verb(self, rng: Random, wanted: list[int], plural: bool, past: bool) -> tuple[Word, Verb]:
        group = rng.choice(wanted)
        slot, form = rng.randrange(len(verbs()[group].forms)), 2 if past else int(plural)
        return Word(verbs()[group].forms[slot][form], "verb", group, slot, form), verbs()[group]

    def action(self, rng: Random, past: bool) -> list[Word]:
        """Subject, verb, and its preposition and object."""
        group = rng.randrange(len(verbs()))
        words, plural = self.subject(rng, verbs()[group].subjects)
        word, verb = self.verb(rng, [group], plural, past)
        target, _, _ = self.noun_phrase(rng, verb.objects)
        link = [Word(rng.choice(verb.prepositions))] if verb.prepositions else []
        return words + [word] + link + target

    def description(self, rng: Random, past: bool) -> list[Word]:
        """ "The fox is quick": the adjective comes late."""
        words, plural, noun = self.noun_phrase(rng, "PPAAVOOLFE", described=0.15)
        if not words[0].text or words[0].kind != "other":
            words.insert(0, Word("the"))
        taken = frozenset(groups()[word.group].pair for word in words if word.kind == "adjective")
        adjective = self.adjective(rng, noun, taken)
        if adjective is None:
            return self.action(rng, past)
        be = Word(("was", "were")[plural] if past else ("is", "are")[plural])
        degree = [Word(rng.choice(["very", "quite", "so"]))] if rng.random() < 0.25 else []
        return words + [be] + degree + [replace(adjective, predicate=True)]

    def existence(self, rng: Random, past: bool) -> list[Word]:
        words, plural, _ = self.noun_phrase(rng, "PAVOLFE", described=0.85)
        if words[0].text not in NUMBERS:
            words = [Word("some" if plural else "a")] + [w for w in words if w.kind != "other"]
        place, _, _ = self.noun_phrase(rng, "LO", described=0.3)
        be = Word(("was", "were")[plural] if past else ("is", "are")[plural])
        return [Word("there"), be] + words + [Word(rng.choice(["in", "near", "behind", "under", "on"]))] + place

    def possession(self, rng: Random, past: bool) -> list[Word]:
        words, plural = self.subject(rng, "P")
        thing, _, _ = self.noun_phrase(rng, "OOVFAL", described=0.85)
        return words + [Word("had" if past else ("has", "have")[plural])] + thing

    def clause(self, rng: Random, past: bool) -> list[Word]:
        roll = rng.random()
        if roll < 0.6:
            return self.action(rng, past)
        if roll < 0.8:
            return self.description(rng, past)
        return self.existence(rng, past) if roll < 0.9 else self.possession(rng, past)

    def sentence(self, rng: Random) -> Sentence:
        past = rng.random() < 0.35
        words = self.clause(rng, past)
        roll = rng.random()
        if roll < 0.08:
            place, _, _ = self.noun_phrase(rng, "LLE")
            words = [Word(rng.choice(["in", "near"]))] + place + [Word(",")] + words
        elif roll < 0.14:
            when = rng.choice(["yesterday", "one day"]) if past else rng.choice(["today", "now", "every day"])
            words += [Word(text) for text in when.split()]
        elif roll < 0.22:
            link = rng.choice(["and", "but", "because", "while", "when"])
            words += [Word(link)] + self.clause(rng, past)
        return tuple(word for word in words if word.text)

    def sentence_with(self, rng: Random, fits: Callable[[Sentence], bool]) -> Sentence:
        """The first drawn sentence for which `fits(sentence)` holds."""
        while not fits(sentence := self.sentence(rng)):
            pass
        return sentence
