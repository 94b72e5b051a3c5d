"""Experiments worth a first look, for each pair that comes with the project: what the shipped gallery holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.experiment import Experiment
from core.models.pairs import EMBEDDED, REAL
from core.presets import SHIPPED

PAIRS = (REAL, EMBEDDED)


@dataclass(frozen=True)
class Preset:
    title: str
    experiment: Experiment


def presets(pair: str) -> tuple[Preset, ...]:
    """The default experiment on a pair first, then eight others."""
    default = Experiment(pair=pair)
    return tuple(Preset(title, replace(default, **changes)) for title, changes in SHIPPED.items())
