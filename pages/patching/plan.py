"""What the controls of the Patching page have chosen, and how its numbers are named."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cache.questions.overview import Overview
from cache.questions.patching import frozen
from core.charts import theme
from core.patching.gap import Gap
from core.patching.members import SET_SITES
from core.patching.plan import Shape, unit
from core.patching.results import Sweep

COMMON = {
    "z": "output patch of one head (z)",
    "v": "value patch of a KV group (v)",
    "attn_out": "attention of a whole layer",
    "mlp_out": "MLP of a whole layer",
    "resid_pre": "residual stream before a layer",
    "resid_mid": "residual stream after its attention",
}
ADVANCED = {
    "value_only": "value only, one head",
    "pattern_only": "pattern only, one head",
    "result": "output through the donor's W_O (variant)",
    "pattern": "attention pattern of one head",
    "q": "queries of one head (q)",
    "k": "keys of a KV group (k)",
    "w_head": "changed weights of one head",
    "w_q": "W_Q of one head",
    "w_k": "W_K of a KV group",
    "w_v": "W_V of a KV group",
    "w_o": "W_O of one head",
    "w_qk": "W_Q and W_K of one head",
    "w_ov": "W_V and W_O of one head",
    "w_attn": "weights of a whole attention",
    "w_mlp": "weights of a whole MLP",
    "w_layer": "weights of a whole layer",
}
SITES = COMMON | ADVANCED
# Of the whole next-token distribution: what the map and its table show in place of score or effect, with its unit and
# how to read it.
_MORE = "more probable than unpatched above 0"
_FIRST = "1 is the most probable next token"
MEASURED = {
    "dlogp_answer": ("Δ log p of answer", "nats", _MORE),
    "dlogp_original": ("Δ log p of original", "nats", _MORE),
    "rank_answer": ("rank of answer", "", _FIRST),
    "rank_original": ("rank of original", "", _FIRST),
    "kl_recipient": ("KL from recipient", "nats", "how far the patch moved the next-token distribution"),
    "kl_donor": ("KL from donor", "nats", "how far the next-token distribution still is from the donor's"),
}
ESTIMATED = ("z", "v", "mlp_out")
DIRECTIONS = {"instruct_to_base": "INSTRUCT → BASE", "base_to_instruct": "BASE → INSTRUCT"}


Parts = tuple[Any, ...]


@dataclass(frozen=True)
class Plan:
    """site, direction, positions, frozen_patterns: of `core.patching`; overview: of the prompt on screen.

    show: "score", "effect" or one of MEASURED.
    """

    site: str
    direction: str
    positions: str
    show: str
    overview: Overview
    frozen_patterns: bool = False

    @property
    def parts(self) -> Parts:
        """What makes the same plan again."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @property
    def options(self) -> dict[str, Any]:
        """What a sweep of the page's site is asked with."""
        return self.at(self.site)

    def at(self, site: str) -> dict[str, Any]:
        """The same plan at another site."""
        return {"site": site, "direction": self.direction, "positions": self.positions} | self.held

    @property
    def held(self) -> dict[str, bool]:
        """What a question is asked with besides where patterns are frozen."""
        return frozen(self.frozen_patterns)

    @property
    def named(self) -> str:
        """What a title says of it behind the site."""
        return ", patterns frozen" if self.frozen_patterns else ""

    @property
    def of_sets(self) -> dict[str, Any]:
        """The same at the site that sets of heads take: the page's, or outputs where that is of whole layers."""
        return self.at(self.site if self.site in SET_SITES else "z")

    @property
    def members(self) -> str:
        """What such a set is of."""
        return {"head": "Heads", "group": "KV groups"}[unit(self.of_sets["site"])]

    @property
    def shape(self) -> Shape:
        overview = self.overview
        return Shape(overview.n_layers, overview.n_heads, overview.n_groups, len(overview.prompt.ids))

    @property
    def has_estimate(self) -> bool:
        """Estimates are of the logit difference, over all positions, with patterns that run."""
        return self.site in ESTIMATED and self.positions == "all" and not self.measured and not self.frozen_patterns

    @property
    def measured(self) -> bool:
        """Whether the map shows a measure of the whole distribution."""
        return self.show in MEASURED

    @property
    def only_grows(self) -> bool:
        """Whether what the map shows has no sign."""
        return self.measured and not self.show.startswith("dlogp")

    @property
    def map_unit(self) -> str:
        return ", ".join(filter(None, MEASURED[self.show][:2])) if self.measured else self.unit

    def mapped(self, sweep: Sweep) -> np.ndarray:
        """What the map shows; ranks as people count, from 1."""
        if not self.measured:
            return self.values(sweep)
        return sweep.measure(self.show) + self.show.startswith("rank")

    @property
    def group_size(self) -> int:
        return self.overview.n_heads // self.overview.n_groups

    @property
    def gap(self) -> Gap:
        """What patches are measured against, as the two plain runs have it."""
        base, instruct = map(float, self.overview.summary.logit_diff)
        ends = (base, instruct) if self.direction == "instruct_to_base" else (instruct, base)
        return Gap(self.direction, *ends)

    def nothing_yet(self, site: str) -> Sweep:
        """A sweep of which no cell has run."""
        overview = self.overview
        columns = {"head": overview.n_heads, "group": overview.n_groups, "layer": 1}[unit(site)]
        return Sweep(site, self.positions, self.gap, np.full((overview.n_layers, columns), np.nan))

    @property
    def in_logits(self) -> bool:
        return self.show == "effect" or self.gap.reason is not None

    @property
    def unit(self) -> str:
        return theme.LOGITS if self.in_logits else theme.SCORE

    @property
    def downwards(self) -> bool:
        """Whether the numbers shown fall as the recipient moves towards the donor."""
        return self.in_logits and self.gap.donor < self.gap.recipient

    def values(self, result) -> np.ndarray:
        """Scores, or effects where those are shown or scores do not exist."""
        return result.effect if self.in_logits else result.score

    def head_of(self, site: str, column: int) -> int:
        """The query head that a click on a column chooses: of a KV group, its first."""
        return column * self.group_size if unit(site) == "group" else column
