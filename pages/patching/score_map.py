"""The upper part of the Patching page: controls, how to read it, and the map that fills."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from cache.job import Job
from core.charts.attribution import layer_bars
from core.charts.grid import Panel
from core.charts.heatmap import head_heatmaps
from core.patching.floor import name_of
from core.patching.plan import unit
from core.patching.results import Estimate, Sweep, agreement
from pages.patching.board import Board, known, troubles, watch
from pages.patching.plan import DIRECTIONS, SITES, Plan
from pages.shared import definitions, state
from pages.shared.figures import figure
from pages.shared.text import plain, quoted
from pages.shared.tokens import token_strip
from pages.shared.widgets import choice

PLACES = {"all": "all", "end": "END only", "picked": "one token"}
SHOWN = {"score": "score", "effect": "effect"}


def controls(board: Board) -> Plan | None:
    """Direction, site, positions, and whether scores or effects are shown; None while a token is to be picked."""
    with st.container(horizontal=True, vertical_alignment="top", key="patch_controls"):
        direction = choice(st.segmented_control, "Donor → recipient", "direction", DIRECTIONS, required=True)
        site = choice(st.selectbox, "Patched activation", "site", SITES, width=290)
        positions = choice(st.segmented_control, "Positions", "positions", PLACES, required=True)
        show = choice(st.segmented_control, "Show", "show", SHOWN, required=True)
    # In a place of its own, so that what stands below is moved, not made anew.
    with st.container(key="patched_position"):
        if positions == "picked":
            positions = _picked(board)
    return None if positions is None else Plan(site, direction, positions, show, board.overview)


def _picked(board: Board) -> str | None:
    """The token that the viewer picks here."""
    prompt = board.overview.prompt
    token_strip(prompt.tokens, prompt.roles, "patched_token", lambda i: state.edit(picked=i))
    if prompt.roles["picked"] is None:
        st.info("Click the token at which activations are to be patched.")
        return None
    return str(prompt.roles["picked"])


def reading(plan: Plan) -> None:
    """What is shown and how to read it, with this prompt's numbers; or why there are no scores."""
    donor, recipient = DIRECTIONS[plan.direction].split(" → ")
    gap = plan.gap
    where = {"all": "", "end": " at END"}.get(plan.positions)
    if where is None:
        where = f" at {quoted(plan.overview.prompt.tokens[int(plan.positions)])}"
    with st.container(key="reading"):
        st.caption(
            f"Each {'bar' if unit(plan.site) == 'layer' else 'cell'} is one run of {recipient} with one activation "
            f"taken from {donor}{where}. Unpatched, {recipient} has a logit difference of {_signed(gap.recipient)}, "
            f"{donor} of {_signed(gap.donor)}" + ("." if gap.reason else "; a score of 1 moves all of the gap.")
        )
        if gap.reason:
            st.warning(plain(gap.reason[0].upper() + gap.reason[1:] + "."))


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def progress(board: Board, plan: Plan) -> Callable[[], None]:
    """The place of the line that says what has run, with its button; call what is returned once all is asked."""
    preview, job = _asked(board, plan)
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_progress"):
        place, button = st.container(width="stretch"), st.container(width="content")

    def show() -> None:
        with button:
            if board.stopped and not board.running:
                icon = ":material/play_arrow:"
                st.button("Run again", on_click=board.resume, disabled=not board.fresh, icon=icon, key="run_sweep")
            else:
                can_stop = board.fresh and board.running and not board.stopping
                icon = ":material/stop:"
                st.button("Cancel", on_click=board.stop, disabled=not can_stop, icon=icon, key="stop_sweep")
        with place:
            watch(board, lambda: _line(plan, job, known(preview), board.stopping))

    return show


def _asked(board: Board, plan: Plan) -> tuple[Job | None, Job | None]:
    preview = board.follow("estimate", site=plan.site, direction=plan.direction) if plan.has_estimate else None
    return preview, board.follow("sweep", **plan.options)


def _line(plan: Plan, job: Job | None, estimate: Estimate | None, stopping: bool) -> str:
    sweep = known(job) or plan.nothing_yet(plan.site)
    count = f"{sweep.done} of {sweep.total}"
    state_ = job.state if job is not None else "not computed,"
    if state_ == "done":
        parts = [f":green[:material/check_circle:] all {sweep.total} exact in {job.seconds:.1f} s"]
        parts.append(f"noise floor up to {name_of(sweep.gap.floor.highest)} logits")
    elif stopping and state_ in ("queued", "running"):
        why = "running on for another viewer" if job.wanted else "stopping after this chunk"
        parts = [f":orange[:material/hourglass_top:] {count} exact, {why}"]
    elif state_ == "running":
        parts = [f":blue[:material/hourglass_top:] {count} exact, deepest layers first, {job.seconds:.1f} s"]
    elif state_ == "queued":
        parts = [f":blue[:material/hourglass_top:] {count} exact, waiting"]
    else:
        parts = [f":orange[:material/pause_circle:] {state_} with {count} exact"]
    found = agreement(estimate, sweep) if estimate is not None else None
    if found is not None and np.isfinite(found.correlation):
        parts.append(f"rank correlation with the estimate {found.correlation:.2f}")
    return " · ".join(parts)


def score_map(board: Board, plan: Plan) -> None:
    """The map: estimates first, exact values as they arrive, deepest layers first."""
    preview, job = _asked(board, plan)
    if not troubles(job):
        _map(plan, known(job) or plan.nothing_yet(plan.site), known(preview))


def _map(plan: Plan, sweep: Sweep, estimate: Estimate | None) -> None:
    exact = plan.values(sweep)
    estimated = ~np.isfinite(exact) if estimate is not None else np.zeros(exact.shape, bool)
    values = np.where(estimated, plan.values(estimate.as_sweep()), exact) if estimate is not None else exact
    title = SITES[plan.site][0].upper() + SITES[plan.site][1:]
    kind, table = unit(plan.site), sweep.to_frame()
    read = f"{_read(plan, kind)} {grey(sweep)}"
    if kind == "layer":
        fig = _layers(plan, title, exact[:, 0], values[:, 0], sweep.within_noise[:, 0])
        figure(fig, "patching", read, definitions.PATCHING + definitions.SITES, table)
        return
    panel = Panel(DIRECTIONS[plan.direction], values, faint=sweep.within_noise, estimated=estimated)
    chosen = state.chosen_head(plan.overview.n_layers, plan.overview.n_heads)
    if chosen and kind == "group":
        chosen = (chosen[0], chosen[1] // plan.group_size)
    columns = "KV group" if kind == "group" else "head"
    fig = head_heatmaps([panel], title, plan.unit, chosen=chosen, columns=columns, notes=_notes(plan, kind), fills=True)
    figure(fig, "patching", read, definitions.PATCHING + definitions.SITES, table, kind)


def _read(plan: Plan, kind: str) -> str:
    end = "towards the answer" if plan.in_logits else "the recipient moves towards the donor"
    if kind == "layer":
        return f"Above 0: {end}."
    return f"Green: {end}. Click a cell to choose its head everywhere."


def grey(result) -> str:
    """What is grey in a figure of patches, with the floor of this prompt."""
    return f"Grey: within the noise floor ({result.gap.floor.text()})."


def _layers(plan: Plan, title: str, exact: np.ndarray, values: np.ndarray, faint: np.ndarray):
    """Bars, since a layer's site has one cell a layer; estimates in a series of their own."""
    row = f"patch of {plan.site}"
    if not plan.has_estimate:
        return layer_bars({row: exact[None]}, title, plan.unit, series=("exact",), faint=faint)
    series = np.stack([exact, np.where(np.isfinite(exact), np.nan, values)])
    # A layer has one of the two, so they may stand in one place.
    fig = layer_bars({row: series}, title, plan.unit, series=("exact", "estimate"), faint=faint)
    return fig.update_layout(barmode="overlay")


def _notes(plan: Plan, kind: str) -> list[list[str]]:
    """Which query heads share a value vector."""
    size, layers = plan.group_size, plan.overview.n_layers
    columns = plan.overview.n_groups if kind == "group" else plan.overview.n_heads
    groups = range(columns) if kind == "group" else [h // size for h in range(columns)]
    shared = [f"KV{g}: shared by query heads {g * size} to {(g + 1) * size - 1}" if size > 1 else "" for g in groups]
    return [shared] * layers
