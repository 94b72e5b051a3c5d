"""What a patch does directly, what by later layers, and what one without content does. Nothing here knows torch.

Of a change of the recipient by a patch, in logits of logit_diff:
- **direct**: s·(c_patched − c_recipient)·d, what reaches the logits with no later component and no scale changed;
  **recomputed**: the same with the scales of the norms it passes as they become;
- **total**: the patch_effect; **indirect** = total − direct, what later components and the scales make of it.
Self-repair: what comes after takes back more than `REPAIRED` of a direct effect. Scores are shares of the gap, as in
`core.patching.gap`.

**Norm-matched null**: the same patches with a random vector of the same norm at each position in place of the donor's
change. A score within the range of the draws is not the content's. Of draws that are all alike the next one lies
outside the range of K in 2 of K + 1 cases, so outside is no proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.results import Sweep
from core.patching.scored import Scored
from core.results import head_name

WRITTEN = ("z", "result", "attn_out", "mlp_out")  # sites whose patch changes what is added to the residual stream
REPAIRED = 0.5  # of a direct effect, at least, that has to be taken back for self-repair to be named
DRAWS = 8


def is_reversed(direct: np.ndarray, total: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Whether direct and total effect have different signs, both beyond the noise floor."""
    found: np.ndarray = _beyond(direct, floor) & _beyond(total, floor) & (np.sign(direct) != np.sign(total))
    return found


def is_repaired(direct: np.ndarray, total: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Whether a direct effect beyond the floor is left with less than 1 − REPAIRED of it, but not reversed."""
    with np.errstate(invalid="ignore"):
        small = np.abs(total) < (1 - REPAIRED) * np.abs(direct)
    found: np.ndarray = _beyond(direct, floor) & small & ~is_reversed(direct, total, floor)
    return found


def _beyond(effect: np.ndarray, floor: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        beyond: np.ndarray = np.abs(effect) > np.nan_to_num(floor)
    return beyond


@dataclass(frozen=True)
class Direct:
    """The direct effects of patches of one site in one direction, in logits.

    frozen, recomputed: (layer, column) as a sweep of the site has them: direct effect with every scale the recipient's
    own, and with the scales that it passes as they become. Both 0 where END is not patched.
    """

    site: str
    positions: str | int
    gap: Gap
    frozen: np.ndarray
    recomputed: np.ndarray

    @property
    def effect(self) -> np.ndarray:
        """The direct effect where one number stands for it: with frozen scales, which is additive."""
        return self.frozen

    @property
    def score(self) -> np.ndarray:
        return self.gap.score(self.frozen + self.gap.recipient)


@dataclass(frozen=True)
class Effects:
    """Direct, total and indirect effect of every patch of a sweep, of which some may not have run yet (NaN)."""

    direct: Direct
    total: Sweep

    @property
    def indirect(self) -> np.ndarray:
        indirect: np.ndarray = self.total.effect - self.direct.frozen
        return indirect

    @property
    def reversed(self) -> np.ndarray:
        """The cells whose direct and total effect have different signs."""
        return is_reversed(self.direct.frozen, self.total.effect, self.total.noise_floor)

    @property
    def repaired(self) -> np.ndarray:
        """The cells in which later components take back most of the direct effect."""
        return is_repaired(self.direct.frozen, self.total.effect, self.total.noise_floor)

    @property
    def within_noise(self) -> np.ndarray:
        """The cells of which neither effect is beyond the noise floor."""
        within: np.ndarray = ~_beyond(self.direct.frozen, self.total.noise_floor) & self.total.within_noise
        return within

    def to_frame(self) -> pd.DataFrame:
        """One row a cell, as in the sweep: the effects in logits, their scores, and what is named of them."""
        frame = self.total.to_frame()[["direction", "site", "layer", "head"]]
        effects = {
            "direct": self.direct.frozen,
            "direct_recomputed": self.direct.recomputed,
            "total": self.total.effect,
            "indirect": self.indirect,
        }
        gap = self.total.gap
        scores = {f"{name}_score": gap.score(effect + gap.recipient) for name, effect in effects.items()}
        more = {"noise_floor": self.total.noise_floor, "self_repaired": self.repaired, "reversed": self.reversed}
        return frame.assign(**{name: values.ravel() for name, values in (effects | scores | more).items()})


@dataclass(frozen=True)
class Null(Scored):
    """Sets of heads patched by the donor, and K times by random vectors of the same norms.

    members: per set, its (layer, head). patched: (set,) logit_diff with the donor's activations. logit_diff:
    (set, draw) with random ones.
    """

    positions: str | int
    members: tuple[tuple[tuple[int, int], ...], ...]
    gap: Gap
    patched: np.ndarray
    logit_diff: np.ndarray

    measures = None

    @property
    def layer(self) -> np.ndarray:
        """(set, 1) the lowest of each set."""
        return np.array([[min(layer for layer, _ in members)] for members in self.members], int)

    @property
    def patched_effect(self) -> np.ndarray:
        """(set,) in logits, with the donor's activations."""
        return self.gap.effect(self.patched)

    @property
    def span(self) -> np.ndarray:
        """(set, 2) the least and the largest effect of the draws, in logits."""
        span: np.ndarray = np.stack([self.effect.min(1), self.effect.max(1)], -1)
        return span

    @property
    def within(self) -> np.ndarray:
        """(set,) whether the donor's effect lies within the range of the draws: it is not the content's."""
        low, high = self.span.T
        within: np.ndarray = (low <= self.patched_effect) & (self.patched_effect <= high)
        return within

    @property
    def mean(self) -> np.ndarray:
        """(set,) of the draws' effects, in logits."""
        mean: np.ndarray = self.effect.mean(1)
        return mean

    def to_frame(self) -> pd.DataFrame:
        """One row a run: per set the donor's, whose draw is absent, then the random ones."""
        draws = self.logit_diff.shape[1]
        every = np.concatenate([self.patched[:, None], self.logit_diff], 1)
        names = ["+".join(head_name(*member) for member in members) for members in self.members]
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "set": np.repeat(np.array(names, object), draws + 1),
                "draw": pd.array([None, *range(draws)] * len(names), dtype="Int64"),
                "logit_diff": every.ravel(),
                "effect": self.gap.effect(every).ravel(),
                "score": self.gap.score(every).ravel(),
                "noise_floor": np.repeat(self.noise_floor[:, 0], draws + 1),
            }
        )
