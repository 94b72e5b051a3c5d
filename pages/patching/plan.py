"""What the controls of the Patching page have chosen, and how its numbers are named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cache.questions import Overview
from core.charts import theme

SITES = {
    "z": "output of a head (z)",
    "v": "values of a KV group (v)",
    "k": "keys of a KV group (k)",
    "q": "queries of a head (q)",
    "pattern": "attention pattern of a head",
    "value_only": "value only, one head",
    "pattern_only": "pattern only, one head",
    "result": "output through the donor's W_O",
    "attn_out": "attention out of a layer",
    "mlp_out": "MLP out of a layer",
    "resid_pre": "residual stream before a layer",
    "resid_mid": "residual stream after attention",
}
ESTIMATED = ("z", "v", "mlp_out")
DIRECTIONS = {"instruct_to_base": "INSTRUCT → BASE", "base_to_instruct": "BASE → INSTRUCT"}


@dataclass(frozen=True)
class Plan:
    """site, direction, positions: of `core.patching`; show: "score" or "effect"; overview: of the prompt on screen."""

    site: str
    direction: str
    positions: str
    show: str
    overview: Overview | None

    @property
    def options(self) -> dict[str, str]:
        """What a sweep of the page's site is asked with."""
        return {"site": self.site, "direction": self.direction, "positions": self.positions}

    @property
    def group_size(self) -> int:
        return self.overview.n_heads // self.overview.n_groups

    def at(self, site: str) -> dict[str, str]:
        """The same plan at another site."""
        return self.options | {"site": site}

    def values(self, result) -> np.ndarray:
        """Scores, or effects where those are shown or scores do not exist."""
        return result.effect if self.in_logits(result.gap) else result.score

    def in_logits(self, gap) -> bool:
        return self.show == "effect" or gap.reason is not None

    def unit(self, gap) -> str:
        return f"effect, {theme.LOGITS}" if self.in_logits(gap) else theme.SCORE
