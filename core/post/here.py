"""What the post's tables and figures are of, for the models at hand: on one prompt, or as averages over a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.attention_results import Attention
from core.patching.gap import MIN_GAP
from core.patching.results import Sweep
from core.results import Attribution, Summary
from core.sets.averages import SetAverages
from core.sets.statistics import Average

# What is patched, INSTRUCT → BASE at all positions: outputs, values of a group, values of one head, its own weights.
SITES = ("z", "v", "value_only", "w_head")


@dataclass(frozen=True)
class Measured:
    """Numbers, and the 95% interval of each where they are averages over a set; arrays of one shape."""

    value: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def interval(self, at: tuple[int, ...]) -> tuple[float, float]:
        """NaN where there is none."""
        if self.low is None or self.high is None:
            return float("nan"), float("nan")
        return float(self.low[at]), float(self.high[at])


@dataclass(frozen=True)
class Here:
    """prompts: how many they are of. logit_diff: (model,); attn, mlp: (model, layer); head: (model, layer, head).

    attention: role → (model, layer, head). scores: site → (layer, column), shares of the gap, only sites that have run;
    none where there is no gap, and `reason` then says why. group_size: query heads that share a KV group.
    """

    logit_diff: Measured
    attn: Measured | None = None
    mlp: Measured | None = None
    head: Measured | None = None
    attention: Mapping[str, Measured] | None = None
    scores: Mapping[str, Measured] | None = None
    group_size: int = 1
    reason: str = ""
    prompts: int = 1

    @property
    def layers(self) -> int:
        return 0 if self.attn is None else self.attn.value.shape[1]

    def score(self, site: str) -> Measured | None:
        return (self.scores or {}).get(site)


def of_prompt(
    summary: Summary,
    attribution: Attribution | None = None,
    attention: Attention | None = None,
    sweeps: Mapping[str, Sweep] | None = None,
    group_size: int = 1,
) -> Here:
    """sweeps: site → what has run of it."""
    given = {site: sweep for site, sweep in (sweeps or {}).items() if sweep.complete}
    reason = next((sweep.gap.reason or "" for sweep in given.values()), "")
    roles = [] if attention is None else [role for role in ("original", "colon") if role in attention.roles]
    return Here(
        logit_diff=Measured(summary.logit_diff),
        attn=Measured(attribution.attn) if attribution else None,
        mlp=Measured(attribution.mlp) if attribution else None,
        head=Measured(attribution.head) if attribution else None,
        attention={role: Measured(attention.at(role)) for role in roles} if attention is not None else None,
        scores={} if reason else {site: Measured(sweep.score) for site, sweep in given.items()},
        group_size=group_size,
        reason=reason,
    )


def of_set(found: SetAverages, group_size: int) -> Here:
    """The averages of a set; a score is mean effect / mean gap."""
    sites = {
        site.site: site.ratio
        for site in found.patching
        if site.direction == "instruct_to_base" and site.positions == "all"
    }
    shared = all(np.isfinite(ratio.value).any() for ratio in sites.values())
    return Here(
        logit_diff=_both(found.summary["logit_diff"]),
        attn=_both(found.attribution["attn"]),
        mlp=_both(found.attribution["mlp"]),
        head=_both(found.attribution["head"]),
        attention={role: _both(average) for role, average in found.attention.items() if role in ("original", "colon")},
        scores={site: Measured(ratio.value, ratio.ci_low, ratio.ci_high) for site, ratio in sites.items() if shared},
        group_size=group_size,
        reason="" if shared else f"the mean gap is smaller than {MIN_GAP} logits or negative",
        prompts=found.n,
    )


def _both(average: Average) -> Measured:
    """Of BASE and INSTRUCT; a set has their difference too."""
    return Measured(average.mean[:2], average.ci_low[:2], average.ci_high[:2])
