"""A plan's rows as far as they have run: what a plan that was broken off goes on from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.patching.measures import Measures


@dataclass(frozen=True)
class Begun:
    """logit_diff: (row,) float64 in the plan's order, the noise floor's rows behind them; NaN where none has run.

    no_op: the largest effect of a no-op so far, in logits. measures: of the same rows.
    """

    logit_diff: np.ndarray
    no_op: float
    measures: Measures

    @staticmethod
    def nothing(rows: int) -> Begun:
        return Begun(np.full(rows, np.nan), float("nan"), Measures.nothing(rows))

    def with_rows(
        self, rows: list[int], logit_diff: np.ndarray, measures: Measures, no_op: float = float("nan")
    ) -> Begun:
        """With what these rows have said, and a no-op beside them."""
        values = self.logit_diff.copy()
        values[rows] = logit_diff
        return Begun(values, float(np.fmax(self.no_op, no_op)), self.measures.with_rows(rows, measures))

    def of_rows(self, rows: list[int]) -> Begun:
        """A plan that is part of this one, as far as it has run."""
        return Begun(self.logit_diff[rows], self.no_op, self.measures.of_rows(rows))

    @property
    def left(self) -> np.ndarray:
        """(row,) whether it has still to run."""
        missing: np.ndarray = ~np.isfinite(self.logit_diff)
        return missing

    def fits(self, rows: int) -> bool:
        """Whether it can be of a plan of that many rows; any other one is no beginning of it."""
        return self.logit_diff.shape == self.measures.kl_donor.shape == (rows,)
