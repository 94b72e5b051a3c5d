"""Sixty sentences as they are typed, each given figures by the word that chooses itself, which mostly is an adjective.

Of the real pair, where its files are there, in English of many structures; of the tiny pair in its own words.
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


def english() -> list[tuple[str, set[str]]]:
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        return [(row["sentence"], set(filter(None, row["adjectives"].split(";")))) for row in csv.DictReader(file)]


def of_its_own_words() -> list[tuple[str, set[str]]]:
    known = {*adjective_group(), *COLORS}
    held_out = dict.fromkeys(prompt.sentence for prompt in read_prompts())
    sentences = [text for text in held_out if not unknown_words(words(text))]
    drawn = sentences[:: len(sentences) // COUNT][:COUNT]
    return [(text, {word for word in words(text) if word.casefold() in known}) for text in drawn]


@pytest.fixture(
    scope="module",
    params=[
        EMBEDDED,
        pytest.param(REAL, marks=pytest.mark.skipif(bool(lacking(registry()[REAL])), reason="the pair is not here")),
    ],
)
def tried(request) -> list[Tried]:
    pair = load_pair(registry()[request.param], "float32", "cpu")
    sentences = english() if request.param == REAL else of_its_own_words()
    assert len({sentence for sentence, _ in sentences}) == COUNT
    return [_try(pair, sentence, adjectives) for sentence, adjectives in sentences]


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


def test_nearly_all_give_figures_at_once(tried):
    failed = [one.line for one in tried if one.refused]
    assert len(failed) <= (1 - FIGURES_AT_ONCE) * COUNT, "\n".join(failed)


def test_nearly_all_with_an_adjective_are_about_one(tried):
    rows = [one for one in tried if one.adjectives]
    missed = [one.line for one in rows if one.found is None or one.found.words[one.found.chosen] not in one.adjectives]
    assert len(rows) >= 0.9 * COUNT
    assert len(missed) <= (1 - ADJECTIVES) * len(rows), "\n".join(missed)
