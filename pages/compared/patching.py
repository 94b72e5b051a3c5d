"""Patching, of A and B: which components move the recipient in each, while both sweeps run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core import compared, definitions
from core.charts.attribution import layer_span
from core.charts.compared import layers_beside
from core.charts.grid import Panel, ScaleName, colour_limit
from core.charts.heatmap import Columns, head_heatmaps
from core.comparison import other_shape
from core.findings import of_patching
from core.patching.plan import unit
from core.patching.results import Sweep
from pages.patching import choice, score_map
from pages.patching.plan import Plan
from pages.shared import comparing, heads, stage
from pages.shared.asking import Answer, Asking, so_far
from pages.shared.comparing import Both
from pages.shared.figures import figure, figures
from pages.shared.filling import stop_button
from pages.shared.headings import heading
from pages.shared.watching import line

_CALLED = {"head": "head", "group": "KV group", "layer": "column"}


@dataclass(frozen=True)
class Side:
    """What is asked of A, or of B: the plan, its sweep, and of that an estimate where there is one."""

    plan: Plan
    swept: Answer
    preview: Answer | None
    attention: Answer

    @classmethod
    def of(cls, asking: Asking, overview: Answer, plan: Plan) -> Side:
        preview = None
        if plan.has_estimate:
            preview = asking.follow(overview, "estimate", site=plan.site, direction=plan.direction)
        swept = asking.follow(overview, "sweep", **plan.options)
        return cls(plan, swept, preview, asking.follow(overview, "attention"))

    @property
    def now(self) -> Sweep:
        """What has run by now."""
        return so_far(self.swept.job) or self.plan.nothing_yet(self.plan.site)

    @property
    def drawn(self) -> Sweep:
        return self.swept.value or self.plan.nothing_yet(self.plan.site)

    def found(self) -> str:
        estimate = so_far(self.preview.job) if self.preview is not None else None
        return of_patching(self.now, self.attention.value, None if estimate is None else estimate.as_sweep())

    def state(self) -> str:
        return score_map.state_of(self.plan, self.swept, self.preview)

    def panel(self, title: str) -> Panel:
        return score_map.panel_of(self.plan, self.drawn, self.preview.value if self.preview else None, title)


def show(both: Both) -> None:
    overviews = both.overviews
    heading("What carries the rephrasing, in A and in B?")
    place, above = st.container(), st.container()
    with place:
        if not comparing.ready(both, *overviews):
            return
    chosen = choice.viewed(overviews[1].result) if stage.on() else choice.controls(overviews[1].result)
    if chosen is None:
        return
    a, b = sides = _sides(both, chosen)
    head = heads.chosen((chosen.overview.n_layers, chosen.overview.n_heads))
    with place:
        differ = lambda: compared.of_patching(a.now, b.now, b.plan.in_logits)  # noqa: E731
        of_a, of_b = [overviews[0], a.swept], [overviews[1], b.swept]
        comparing.findings(of_a, of_b, [a.found, b.found, differ], definitions.PATCHING)
    answers = [b.swept, a.swept, *(side.preview for side in sides if side.preview is not None)]
    with above, figures(*answers, key="compared"):
        _figures(both, a, b, head.place if head else None)
    if not stage.on():
        _progress(a, b)


def _sides(both: Both, b: Plan) -> tuple[Side, Side]:
    """The same plan of A; where one of both has no scores, both show effects."""
    first, second = both.overviews
    a = replace(choice.viewed(first.result), site=b.site, direction=b.direction, show=b.show)
    if b.show == "score" and (a.gap.reason or b.gap.reason):
        a, b = replace(a, show="effect"), replace(b, show="effect")
    return Side.of(both.a, first, a), Side.of(both.b, second, b)


def _progress(a: Side, b: Side) -> None:
    """What has run of both, and the button that stops them."""
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_progress"):
        with st.container(width="stretch"):
            line(lambda: f"**A** {a.state()}  \n**B** {b.state()}")
        stop_button(st.container(width="content"))


def _figures(both: Both, a: Side, b: Side, head: heads.Place | None) -> None:
    titles, kind = comparing.titles(*both.overviews), unit(b.plan.site)
    panels = [a.panel(titles[0]), b.panel(titles[1])]
    no_difference = other_shape(a.drawn.logit_diff.shape, b.drawn.logit_diff.shape, _CALLED[kind])
    if not no_difference:
        panels.append(_change(a, b, titles[2]))
    rows = (a.drawn.to_frame(), b.drawn.to_frame())
    table = comparing.table(both, rows, by=("direction", "site", "layer", "head"))
    read = comparing.reading(score_map.reads(b.plan, kind), no_difference)
    terms, of = definitions.PATCHING + definitions.SITES, {**comparing.of(both), **b.plan.options}
    settled = a.swept.complete and b.swept.complete
    if kind == "layer":
        figure(_layers(b.plan, panels, settled), "compared_patching", read, terms, table, of=of)
        return
    limit = colour_limit(panels)
    _, limit = stage.steady(f"compared {b.plan.site}, {b.plan.map_unit}", (-limit, limit), settled)
    # Without a difference each is a figure of its own, and a click chooses a head of B's models.
    groups = [panels[:1], panels[1:]] if no_difference else [panels]
    for group, column in zip(groups, st.columns(len(groups))):
        of_b = group[-1] is panels[-1]
        with column:
            fig = _heatmap(b.plan, group, limit, head if of_b else None)
            key = "compared_patching" if of_b else "compared_patching_a"
            figure(fig, key, read, terms, table, kind if of_b else "", of)


def _heatmap(plan: Plan, panels: Sequence[Panel], limit: float, head: heads.Place | None) -> go.Figure:
    kind = unit(plan.site)
    columns: Columns = "KV group" if kind == "group" else "head"
    if head is not None and kind == "group":
        head = head[0], head[1] // plan.group_size
    # What only grows has a sign once it is a difference.
    scale: ScaleName = "sequential" if plan.only_grows and len(panels) == 1 else "diverging"
    return head_heatmaps(
        panels, score_map.title_of(plan), plan.map_unit, scale, limit, chosen=head, columns=columns, fills=True,
        size=comparing.size(),
    )  # fmt: skip


def _layers(plan: Plan, panels: Sequence[Panel], settled: bool) -> go.Figure:
    """One bar a layer: exact, or as long as that has not run, the estimate."""
    columns = {panel.title: {f"patch of {plan.site}": panel.values.T} for panel in panels}
    span = layer_span(*(panel.values for panel in panels))
    span = stage.steady(f"compared {plan.site}, {plan.map_unit}", span, settled)
    return layers_beside(columns, score_map.title_of(plan), plan.map_unit, span, ("patched",), comparing.size())


def _change(a: Side, b: Side, title: str) -> Panel:
    """B − A of what has run in both; grey where both noise floors together hold it."""
    change = b.plan.mapped(b.drawn) - a.plan.mapped(a.drawn)
    if b.plan.measured:
        return Panel(title, change)
    return Panel(title, change, faint=np.abs(change) <= compared.sweep_noise(a.drawn, b.drawn, b.plan.in_logits))
