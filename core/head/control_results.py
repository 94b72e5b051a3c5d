"""One head's patch taken apart, and held against a patch of its size without its content. Nothing here knows torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.patching.control_results import Null, is_repaired, is_reversed
from core.results import head_name


@dataclass(frozen=True)
class HeadControls:
    """Of one head's output patch (z, all positions) in one direction: its parts, and its norm-matched null.

    frozen, recomputed: direct effects in logits, as `core.patching.control_results` says. null: of this head alone.
    """

    layer: int
    head: int
    frozen: float
    recomputed: float
    null: Null

    @property
    def name(self) -> str:
        return head_name(self.layer, self.head)

    @property
    def direction(self) -> str:
        return self.null.gap.direction

    @property
    def total(self) -> float:
        """The patch_effect, in logits."""
        return float(self.null.patched_effect[0])

    @property
    def indirect(self) -> float:
        return self.total - self.frozen

    @property
    def parts(self) -> dict[str, float]:
        """direct, direct_recomputed, indirect and total, in logits."""
        return {
            "direct": self.frozen,
            "direct_recomputed": self.recomputed,
            "indirect": self.indirect,
            "total": self.total,
        }

    @property
    def noise_floor(self) -> float:
        return float(self.null.noise_floor[0, 0])

    @property
    def within_noise(self) -> bool:
        """Whether the total is no larger than the noise floor."""
        return abs(self.total) <= self.noise_floor

    @property
    def within_null(self) -> bool:
        """Whether the total lies within the range of the random draws."""
        return bool(self.null.within[0])

    @property
    def repaired(self) -> bool:
        return bool(is_repaired(*self._effects))

    @property
    def reversed(self) -> bool:
        return bool(is_reversed(*self._effects))

    @property
    def _effects(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.array(self.frozen), np.array(self.total), np.array(self.noise_floor)

    def of_gap(self, effect: float | np.ndarray) -> np.ndarray:
        """An effect as a share of the gap; NaN where that is too small."""
        return self.null.gap.score(np.asarray(effect) + self.null.gap.recipient)

    def to_frame(self) -> pd.DataFrame:
        """direction, layer, head, what, draw (of the null alone), effect in logits, score, noise_floor."""
        draws = self.null.effect[0]
        effects = np.array([*self.parts.values(), *draws])
        return pd.DataFrame(
            {
                "direction": self.direction,
                "layer": self.layer,
                "head": self.head,
                "what": [*self.parts, *["null"] * len(draws)],
                "draw": pd.array([*[None] * len(self.parts), *range(len(draws))], dtype="Int64"),
                "effect": effects,
                "score": self.of_gap(effects),
                "noise_floor": self.noise_floor,
            }
        )
