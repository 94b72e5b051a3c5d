"""Experiments worth a first look, for each pair that comes with the project: what the shipped gallery holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.experiment import Experiment
from core.models.pairs import EMBEDDED, REAL

PAIRS = (REAL, EMBEDDED)
_TWO_ADJECTIVES = {"sentence": "The big dog sleeps in the old house."}
# title → what differs from the default experiment.
_CHANGES: dict[str, dict[str, Any]] = {
    "Rephrase, the post's prompt": {},
    "Rephrase, another sentence": {**_TWO_ADJECTIVES, "original": "big"},
    "Rephrase, a second adjective": {**_TWO_ADJECTIVES, "original": "old"},
    "Rephrase, other words for the task": {
        "instruction": "Replace each adjective in the following sentence with another word"
    },
    "Rephrase, a chosen answer": {"answer": "fast"},
    "Verbs in place of adjectives": {"instruction": "Rephrase all the verbs of the following sentence"},
    "Repeat": {"instruction": "Repeat the following sentence"},
    "The opposite": {"instruction": "Reverse all the adjectives of the following sentence"},
    "Remove": {"instruction": "Remove all the adjectives of the following sentence"},
}


@dataclass(frozen=True)
class Preset:
    title: str
    experiment: Experiment


def presets(pair: str) -> tuple[Preset, ...]:
    """The default experiment on a pair first, then eight others."""
    default = Experiment(pair=pair)
    return tuple(Preset(title, replace(default, **changes)) for title, changes in _CHANGES.items())
