"""The map of the Patching page, which fills, with the line that says what has run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core import definitions
from core.charts.attribution import layer_bars, layer_span
from core.charts.figure import laid_out
from core.charts.grid import Panel, ScaleName, colour_limit, outline
from core.charts.heatmap import Columns, head_heatmaps
from core.charts.theme import SizeName, Span
from core.findings import of_patching
from core.patching.plan import unit
from core.patching.results import Estimate, Sweep, agreement
from core.wording import signed
from pages.patching.plan import DIRECTIONS, MEASURED, SITES, Parts, Plan
from pages.shared import heads, stage
from pages.shared.asking import Answer, follow, so_far
from pages.shared.drawn import drawn
from pages.shared.figures import figure, figures
from pages.shared.filling import stop_button
from pages.shared.finding import finding
from pages.shared.heads import Place
from pages.shared.watching import line


def progress(overview: Answer, plan: Plan) -> Callable[[], None]:
    """The line that says what has run, with its button; call what is returned once all is asked."""
    preview, swept = _asked(overview, plan)
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_progress"):
        with st.container(width="stretch"):
            line(partial(state_of, plan, swept, preview))
        button = st.container(width="content")

    return partial(stop_button, button)


def _asked(overview: Answer, plan: Plan) -> tuple[Answer | None, Answer]:
    preview = None
    if plan.has_estimate:
        preview = follow(overview, "estimate", site=plan.site, direction=plan.direction)
    return preview, follow(overview, "sweep", **plan.options)


def found(overview: Answer, plan: Plan) -> Callable[[], str]:
    """What the map shows so far, in a sentence."""
    preview, swept = _asked(overview, plan)
    attention = follow(overview, "attention")

    def text() -> str:
        sweep = so_far(swept.job) or plan.nothing_yet(plan.site)
        estimate = so_far(preview.job) if preview is not None else None
        said = of_patching(sweep, attention.value, estimate.as_sweep() if estimate is not None else None)
        return f"With attention patterns frozen: {said}" if plan.frozen_patterns else said

    return text


def state_of(plan: Plan, swept: Answer, preview: Answer | None) -> str:
    """What has run, in a line."""
    job, sweep = swept.job, so_far(swept.job) or plan.nothing_yet(plan.site)
    count = f"{sweep.done} of {sweep.total}"
    if job is None:
        parts = [f":orange[:material/pause_circle:] not computed, with {count} exact"]
    elif job.state == "done":
        took = f"in {job.seconds:.1f} s" if job.seconds else "from before"
        parts = [f":green[:material/check_circle:] all {sweep.total} exact {took}"]
    elif swept.stopped and not job.finished:
        why = "running on for another viewer" if job.wanted else "stopping after this chunk"
        parts = [f":orange[:material/hourglass_top:] {count} exact, {why}"]
    elif job.state == "running":
        parts = [f":blue[:material/hourglass_top:] {count} exact, deepest layers first, {job.seconds:.1f} s"]
    elif job.state == "queued":
        parts = [f":blue[:material/hourglass_top:] {count} exact, waiting"]
    else:
        parts = [f":orange[:material/pause_circle:] {job.state} with {count} exact"]
    estimate = so_far(preview.job) if preview is not None else None
    found = agreement(estimate, sweep) if estimate is not None else None
    if found is not None and np.isfinite(found.correlation):
        parts.append(f"rank correlation with the estimate {signed(found.correlation)}")
    return " · ".join(parts)


def score_map(overview: Answer, plan: Plan, chosen: Place | None) -> None:
    """The map: estimates first, exact values as they arrive, deepest layers first."""
    preview, swept = _asked(overview, plan)
    with figures(*([] if preview is None else [preview]), swept, key="map"):
        _map(plan, swept.value, preview.value if preview is not None else None, chosen)


def on_stage(overview: Answer, plan: Plan) -> None:
    """What the map says, and the map."""
    with figures(overview, key="finding"):
        finding(found(overview, plan), definitions.PATCHING)
    chosen = heads.chosen((plan.overview.n_layers, plan.overview.n_heads))
    score_map(overview, plan, chosen.place if chosen else None)


def _map(plan: Plan, ran: Sweep | None, estimate: Estimate | None, chosen: Place | None) -> None:
    sweep = ran or plan.nothing_yet(plan.site)
    panel = panel_of(plan, sweep, estimate, DIRECTIONS[plan.direction])
    kind, table = unit(plan.site), sweep.to_frame
    read = reads(plan, kind) if plan.measured else f"{reads(plan, kind)} {grey(sweep)}"
    if kind == "layer":
        span = _steady(plan, sweep, layer_span(_bars(plan, sweep, panel)[0]))
        fig = drawn(_layers, plan.parts, ran, estimate, span, stage.size())
        figure(fig, "patching", read, definitions.PATCHING + definitions.SITES, table, of=plan.options)
        return
    if chosen and kind == "group":
        chosen = (chosen[0], chosen[1] // plan.group_size)
    limit = colour_limit([panel])
    _, limit = _steady(plan, sweep, (-limit, limit))
    fig = drawn(_cells, plan.parts, ran, estimate, limit, stage.size())
    if chosen:
        fig = fig.shaped(outline(chosen, 1))
    figure(fig, "patching", read, definitions.PATCHING + definitions.SITES, table, kind, plan.options)


def _cells(parts: Parts, ran: Sweep | None, estimate: Estimate | None, limit: float, size: SizeName) -> go.Figure:
    plan = Plan(*parts)
    sweep, kind = ran or plan.nothing_yet(plan.site), unit(plan.site)
    columns: Columns = "KV group" if kind == "group" else "head"
    scale: ScaleName = "sequential" if plan.only_grows else "diverging"
    panel = panel_of(plan, sweep, estimate, DIRECTIONS[plan.direction])
    return head_heatmaps(
        [panel], title_of(plan), plan.map_unit, scale, limit, columns=columns, notes=_notes(plan, kind), fills=True,
        size=size,
    )  # fmt: skip


def panel_of(plan: Plan, sweep: Sweep, estimate: Estimate | None, title: str) -> Panel:
    """What has run, and of the rest its estimate."""
    exact = plan.mapped(sweep)
    estimated = ~np.isfinite(exact) if estimate is not None else np.zeros(exact.shape, bool)
    values = np.where(estimated, plan.values(estimate.as_sweep()), exact) if estimate is not None else exact
    return Panel(title, values, faint=_faint(plan, sweep), estimated=estimated)


def title_of(plan: Plan) -> str:
    return SITES[plan.site][0].upper() + SITES[plan.site][1:] + plan.named


def _faint(plan: Plan, sweep: Sweep) -> np.ndarray:
    """The noise floor is one of the logit difference: it says nothing of other measures."""
    return sweep.within_noise & (not plan.measured)


def reads(plan: Plan, kind: str) -> str:
    """How to read the map."""
    click = "" if kind == "layer" else " Click a cell to choose its head everywhere."
    if plan.measured:
        label, _, how = MEASURED[plan.show]
        return f"{label[0].upper()}{label[1:]} in each patched run: {how}.{click}"
    end = "towards the answer" if plan.in_logits else "the recipient moves towards the donor"
    return f"{'Above 0' if kind == 'layer' else 'Green'}: {end}.{click}"


def grey(result) -> str:
    """What is grey in a figure of patches, with the floor of this prompt."""
    return f"Grey: within the noise floor ({result.gap.floor.text()})."


def _bars(plan: Plan, sweep: Sweep, panel: Panel) -> tuple[np.ndarray, tuple[str, ...]]:
    """A layer's site has one cell a layer: (series, layer), and what the series are."""
    exact, values = plan.mapped(sweep)[:, 0], panel.values[:, 0]
    if not plan.has_estimate:
        return exact[None], ("exact",)
    return np.stack([exact, np.where(np.isfinite(exact), np.nan, values)]), ("exact", "estimate")


def _layers(parts: Parts, ran: Sweep | None, estimate: Estimate | None, span: Span, size: SizeName) -> go.Figure:
    plan = Plan(*parts)
    sweep = ran or plan.nothing_yet(plan.site)
    bars, series = _bars(plan, sweep, panel_of(plan, sweep, estimate, DIRECTIONS[plan.direction]))
    name, unit = MEASURED[plan.show][:2] if plan.measured else (f"patch of {plan.site}", plan.unit)
    faint = _faint(plan, sweep)[:, 0]
    fig = layer_bars({name: bars}, title_of(plan), unit, size=size, series=series, faint=faint, span=span)
    # A layer has one of the two, so they may stand in one place.
    return laid_out(fig, barmode="overlay") if plan.has_estimate else fig


def _steady(plan: Plan, sweep: Sweep, span: Span) -> Span:
    """What is still filled, or only estimated, decides about no other prompt's scale."""
    return stage.steady(f"{plan.site}, {plan.map_unit}{plan.named}", span, settled=sweep.complete)


def _notes(plan: Plan, kind: str) -> list[list[str]]:
    """Which query heads share a value vector."""
    size, layers = plan.group_size, plan.overview.n_layers
    columns = plan.overview.n_groups if kind == "group" else plan.overview.n_heads
    groups = range(columns) if kind == "group" else [h // size for h in range(columns)]
    shared = [f"KV{g}: shared by query heads {g * size} to {(g + 1) * size - 1}" if size > 1 else "" for g in groups]
    return [shared] * layers
