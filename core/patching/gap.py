"""What patches are measured against: the two plain runs, and what moves a run without any donor.

effect = logit_diff(patched recipient) − logit_diff(recipient), in logits; score = effect / (logit_diff(donor) −
logit_diff(recipient)), 0 = no change, 1 = the whole gap moved. Where the gap is smaller than 0.5 logits or negative
there are no scores, only effects. base_to_instruct has a gap of its own: INSTRUCT is the recipient, and the gap counts
downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.patching.floor import NoiseFloor
from core.wording import signed

MIN_GAP = 0.5  # logits


@dataclass(frozen=True)
class Gap:
    """The two plain runs that effects and scores are measured against, in logits of logit_diff.

    recipient: of the model that runs; donor: of the model that activations come from. no_op: the largest effect of
    patching the recipient's own activation, a check of the machinery, NaN before anything ran. floor: what rounding
    alone moves.
    """

    direction: str
    recipient: float
    donor: float
    no_op: float = float("nan")
    floor: NoiseFloor = NoiseFloor()

    @property
    def size(self) -> float:
        """How far INSTRUCT's logit difference lies above BASE's."""
        return self._sign * (self.donor - self.recipient)

    @property
    def _sign(self) -> int:
        return 1 if self.direction == "instruct_to_base" else -1

    @property
    def reason(self) -> str | None:
        """Why there are no scores, or None when there are."""
        if self.size >= MIN_GAP:
            return None
        what = "negative" if self.size < 0 else f"smaller than {MIN_GAP} logits"
        return (
            f"INSTRUCT's logit difference minus BASE's is {signed(self.size)} logits, {what}: "
            "a share of it would mislead, so only effects are shown"
        )

    def effect(self, logit_diff: np.ndarray) -> np.ndarray:
        return np.asarray(logit_diff) - self.recipient

    def score(self, logit_diff: np.ndarray) -> np.ndarray:
        effect = self.effect(logit_diff)
        return np.full_like(effect, np.nan) if self.reason else effect / (self.donor - self.recipient)
