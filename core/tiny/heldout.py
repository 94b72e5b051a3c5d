"""The fixed prompts that the pair is measured on, whose noun-adjective combinations are in no training text.

The words of unseen_group are only in BASE's texts, in any combination, and in no instruction of the fine-tuning.
Each line of `heldout.jsonl` is one prompt with its answer (the canonical synonym) and every acceptable synonym.
Kinds: unseen_combination and unseen_group are the two generalisations; loose_form, unseen_wording, late_adjective,
plural_past, second_adjective, color_or_number and unknown_noun are what people type; repeat and opposite ask for
something else with the same header.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from core.tiny.instructions import POST_HEADER, POST_INSTRUCTION, fill, unseen_wordings, wordings
from core.tiny.sentences import Grammar, Policies, Sentence, Style, Word, adjectives_of, article, held_out_in, render
from core.tiny.words import COLORS, NUMBERS, groups

PATH = Path(__file__).with_name("heldout.jsonl")
COUNTS = {
    "unseen_combination": 240,
    "unseen_group": 120,
    "repeat": 100,
    "loose_form": 100,
    "unseen_wording": 100,
    "late_adjective": 60,
    "plural_past": 60,
    "second_adjective": 60,
    "color_or_number": 60,
    "unknown_noun": 60,
    "opposite": 60,
}
UNKNOWN_NOUNS = "zebra camera laptop dragon robot violin pilot hotel penguin ladder pumpkin rocket".split()
_SEED = 7


@dataclass(frozen=True)
class Prompt:
    """`synonyms` are the accepted next words besides the original; `answer`, one of them, is the canonical one."""

    kind: str
    instruction: str
    sentence: str
    prefix: str
    original: str
    answer: str
    synonyms: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.instruction}: {self.sentence}\n\n{POST_HEADER} {self.prefix}".rstrip()


POST_PROMPT = Prompt(
    "post", POST_INSTRUCTION, "The quick fox jumps over the dog.", "The", "quick", "swift", ("swift", "fast")
)


def read_prompts(path: Path = PATH) -> list[Prompt]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Prompt(**{**json.loads(line), "synonyms": tuple(json.loads(line)["synonyms"])}) for line in lines]


def write_prompts(prompts: list[Prompt], path: Path) -> None:
    path.write_text("".join(json.dumps(asdict(prompt)) + "\n" for prompt in prompts), encoding="utf-8")


def _prompt(kind: str, instruction: str, sentence: Sentence, spot: int, style: Style) -> Prompt | None:
    """None where the article before the original does not fit the answer."""
    word, opposite = sentence[spot], kind == "opposite"
    other = groups()[word.group].opposite if opposite else word.group
    assert other is not None, "an opposite is asked of what has one"
    group = groups()[other]
    accepted = [text for i, text in enumerate(group.words) if opposite or i != word.slot]
    answer = group.words[word.slot if opposite else (word.slot + 1) % len(group.words)]
    if sentence[spot - 1].text == "a":
        accepted = [text for text in accepted if article(text) == article(word.text)]
    if answer not in accepted:
        return None
    text = render(sentence, style)
    prefix = text[: text.lower().index(" " + word.text) + 1].strip()
    return Prompt(kind, instruction, text, prefix, word.text, answer, tuple(accepted))


def _rename(rng: Random, sentence: Sentence, spot: int) -> Sentence:
    """The described noun becomes one that is outside the vocabulary."""
    at = next(i for i in range(spot, len(sentence)) if sentence[i].kind == "noun")
    new = rng.choice(UNKNOWN_NOUNS) + ("s" if sentence[at].text.endswith("s") else "")
    return sentence[:at] + (Word(new, "noun"),) + sentence[at + 1 :]


def _fits(kind: str) -> Callable[[Sentence, list[int]], bool]:
    """What a sentence, given where its adjectives are, must have to be of a kind."""
    rules: dict[str, Callable[[Sentence, list[int]], bool]] = {
        "late_adjective": lambda s, at: s[at[0]].predicate,
        "plural_past": lambda s, at: any(w.form == 2 for w in s) and any(w.text[-1] == "s" for w in s[at[0] + 1 :][:1]),
        "second_adjective": lambda s, at: len(at) > 1,
        "color_or_number": lambda s, at: any(w.kind == "color" or w.text in NUMBERS + COLORS for w in s[: at[0] + 2]),
        "unknown_noun": lambda s, at: not s[at[0]].predicate and "," not in [w.text for w in s],
        "opposite": lambda s, at: groups()[s[at[0]].group].opposite is not None,
    }
    return rules.get(kind, lambda s, at: True)


def _instruction(rng: Random, kind: str) -> str:
    if kind == "unseen_wording":
        return fill(rng, rng.choice(unseen_wordings()))
    if kind in ("repeat", "opposite"):
        return fill(rng, rng.choice(wordings(kind)))
    return POST_INSTRUCTION if rng.random() < 0.5 else fill(rng, rng.choice(wordings("adjectives")))


def _draw(rng: Random, kind: str, grammar: Grammar) -> Prompt | None:
    fits = _fits(kind)
    sentence = grammar.sentence_with(rng, lambda s: bool(at := adjectives_of(s)) and at[0] > 0 and fits(s, at))
    spot = adjectives_of(sentence)[1 if kind == "second_adjective" else 0]
    if kind == "unknown_noun":
        sentence = _rename(rng, sentence, spot)
    style = Style()
    if kind == "loose_form":
        style = rng.choice([Style(lower=True), Style(stop=""), Style(lower=True, stop="")])
    if sum(word.text == sentence[spot].text for word in sentence) > 1:
        return None
    return _prompt(kind, _instruction(rng, kind), sentence, spot, style)


def make_prompts(policies: Policies) -> list[Prompt]:
    """The same prompts every time: the seed is fixed, whatever the training's seed is."""
    rng = Random(_SEED)
    made: list[Prompt] = []
    combinations, unseen_groups = Grammar(policies.unseen_combination), Grammar(policies.unseen_group)
    for kind, count in COUNTS.items():
        grammar = unseen_groups if kind == "unseen_group" else combinations
        seen: set[str | tuple[tuple[str, str], ...]] = set()
        while len(seen) < count:
            prompt = _draw(rng, kind, grammar)
            if prompt is None:
                continue
            key = tuple(held_out_in(prompt.sentence)[:1]) or prompt.sentence
            if key not in seen:
                seen.add(key)
                made.append(prompt)
    return made
