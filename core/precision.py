"""What a dtype below the stored weights' does to the gap: measured beside in one that holds them, where that fits."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan

from core.results import Check
from core.wording import signed


@dataclass(frozen=True)
class StoredGap:
    """INSTRUCT's logit difference minus BASE's, in the dtype that runs and in one that holds the stored weights.

    dtype: that runs; stored: of the weights' files; reference: that holds them. gap, stored_gap: in logits, in dtype
    and in reference; stored_gap is NaN where it cannot be measured, and reason says why.
    """

    dtype: str
    stored: str
    reference: str
    gap: float
    stored_gap: float = nan
    reason: str = ""

    @property
    def text(self) -> str:
        """In one sentence, for the app and the command line."""
        below = f"{self.dtype} is below the stored {self.stored}: gap {signed(self.gap)} here"
        if isfinite(self.stored_gap):
            return f"{below}, {signed(self.stored_gap)} in {self.reference}"
        return f"{below}; it cannot be checked in {self.reference} ({self.reason})"

    @property
    def checks(self) -> tuple[Check, ...]:
        """The difference as a row of the checks, where it is known."""
        if not isfinite(self.stored_gap):
            return ()
        name = f"gap in {self.reference} − gap in {self.dtype}"
        return (Check(name, self.stored_gap - self.gap, float("inf")),)
