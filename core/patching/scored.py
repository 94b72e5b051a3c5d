"""What a table or a map of patched runs says of each of its cells, whatever the cells are.

Sign and normalisation are those of `core.patching.gap`. NaN marks a cell that has not run yet, or a number that does
not exist.
"""

from __future__ import annotations

import numpy as np

from core.patching.gap import Gap
from core.patching.measures import MEASURES, Measures

_IN_LOGITS = ("logit_diff", "effect", "score", "noise_floor")


class Scored:
    """What every result with `gap` and `logit_diff` shares."""

    gap: Gap
    logit_diff: np.ndarray
    measures: Measures | None

    @property
    def layer(self) -> np.ndarray:
        """The lowest layer that each cell patches, broadcasting to the cells; by default rows are layers."""
        return np.arange(len(self.logit_diff))[:, None]

    @property
    def noise_floor(self) -> np.ndarray:
        """What rounding alone moves in each cell, in logits; NaN where that is not known (yet)."""
        return np.broadcast_to(self.gap.floor.at(self.layer), self.logit_diff.shape)

    @property
    def within_noise(self) -> np.ndarray:
        """The cells whose effect is no larger than their noise floor."""
        with np.errstate(invalid="ignore"):
            within: np.ndarray = np.abs(self.effect) <= self.noise_floor
        return within

    @property
    def effect(self) -> np.ndarray:
        return self.gap.effect(self.logit_diff)

    @property
    def score(self) -> np.ndarray:
        return self.gap.score(self.logit_diff)

    @property
    def towards_donor(self) -> np.ndarray:
        """The effect, counted in the donor's direction: what a ranking goes by, with or without scores."""
        towards: np.ndarray = self.effect * np.sign(self.gap.donor - self.gap.recipient)
        return towards

    def measure(self, name: str) -> np.ndarray:
        """logit_diff, effect, score, noise_floor or one of MEASURES, cell by cell; NaN where it was not measured."""
        if name not in MEASURES:
            own: np.ndarray = getattr(self, name)
            return own
        return np.full(self.logit_diff.shape, np.nan) if self.measures is None else getattr(self.measures, name)

    def columns(self) -> dict[str, np.ndarray]:
        """What every table says of a cell, in the shape of the cells."""
        return {name: self.measure(name) for name in (*_IN_LOGITS, *MEASURES)}

    def raveled(self) -> dict[str, np.ndarray]:
        """The same in the order of the cells."""
        return {name: values.ravel() for name, values in self.columns().items()}

    def ran(self, cell: tuple[int, ...]) -> bool:
        return bool(np.isfinite(self.logit_diff[cell]))

    @property
    def done(self) -> int:
        """How many cells have run."""
        return int(np.isfinite(self.logit_diff).sum())

    @property
    def total(self) -> int:
        return self.logit_diff.size

    @property
    def complete(self) -> bool:
        return self.done == self.total
