"""Sixty sentences as they are typed, each given figures by the word that chooses itself, which mostly is an adjective.

Of the real pair, where its files are there, in English of many structures; of the tiny pair in its own words, and in
that English, of whose words it has never read a third.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.choice import with_word
from core.experiment import Experiment, InputError, words
from core.generation import rewrite
from core.models.loading import LoadedPair, load_pair
from core.models.pairs import EMBEDDED, REAL, lacking, registry
from core.recording import record
from core.rewriting import Rewriting
from core.runs import read_prompt, settle
from core.tiny.heldout import read_prompts
from core.tiny.known import unknown_words
from core.tiny.words import COLORS, adjective_group

SENTENCES = Path(__file__).parent / "sentences60.csv"
COUNT = 60
FIGURES_AT_ONCE, ADJECTIVES = 0.95, 0.9


@dataclass(frozen=True)
class Tried:
    """adjectives: of the sentence, any of which may be chosen. refused: why there would be no figures, else ""."""

    sentence: str
    adjectives: set[str]
    found: Rewriting | None
    refused: str

    @property
    def line(self) -> str:
        chosen = f"{self.found.words[self.found.chosen]} → {self.found.replacement}" if self.found else "nothing"
        return f"{self.sentence} | {chosen} {self.refused}"


@dataclass(frozen=True)
class Case:
    """share: of the sentences with an adjective, that are to be about one."""

    tried: list[Tried]
    share: float


def english() -> list[tuple[str, set[str]]]:
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        return [(row["sentence"], set(filter(None, row["adjectives"].split(";")))) for row in csv.DictReader(file)]


def of_its_own_words() -> list[tuple[str, set[str]]]:
    known = {*adjective_group(), *COLORS}
    held_out = dict.fromkeys(prompt.sentence for prompt in read_prompts())
    sentences = [text for text in held_out if not unknown_words(words(text))]
    drawn = sentences[:: len(sentences) // COUNT][:COUNT]
    return [(text, {word for word in words(text) if word.casefold() in known}) for text in drawn]


CASES = {
    "tiny": (EMBEDDED, of_its_own_words, ADJECTIVES),
    "tiny in English": (EMBEDDED, english, 0.75),
    "real": (REAL, english, ADJECTIVES),
}


@pytest.fixture(scope="module", params=CASES)
def case(request) -> Case:
    pair, sentences, share = CASES[request.param]
    if missing := lacking(registry()[pair]):
        pytest.skip(f"the pair is not here: {missing}")
    loaded, drawn = load_pair(registry()[pair], "float32", "cpu"), sentences()
    assert len({sentence for sentence, _ in drawn}) == COUNT
    return Case([_try(loaded, sentence, adjectives) for sentence, adjectives in drawn], share)


def _try(pair: LoadedPair, sentence: str, adjectives: set[str]) -> Tried:
    # The word of the sentence before stands nowhere in this one.
    experiment, found = Experiment(pair=pair.spec.id, sentence=sentence, original="elsewhere"), None
    try:
        found = rewrite(experiment, pair)
        prompt = read_prompt(with_word(experiment, found.chosen), pair)
        # What BASE computes decides about no refusal.
        settle(prompt, (record(pair.instruct, prompt.ids),) * 2)
    except InputError as error:
        return Tried(sentence, adjectives, found, str(error))
    return Tried(sentence, adjectives, found, "")


def test_nearly_all_give_figures_at_once(case):
    failed = [one.line for one in case.tried if one.refused]
    assert len(failed) <= (1 - FIGURES_AT_ONCE) * COUNT, "\n".join(failed)


def test_nearly_all_with_an_adjective_are_about_one(case):
    rows = [one for one in case.tried if one.adjectives]
    missed = [one.line for one in rows if one.found is None or one.found.words[one.found.chosen] not in one.adjectives]
    assert len(rows) >= 0.9 * COUNT
    assert len(missed) <= (1 - case.share) * len(rows), "\n".join(missed)
