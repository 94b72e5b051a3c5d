"""The upper part of the Patching page: controls, the map of scores, the table of the top components."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from cache.job import Job
from cache.questions import Overview
from core.charts.grid import Panel
from core.charts.heatmap import head_heatmaps
from core.charts.attribution import layer_bars
from core.patching_plan import unit
from core.patching_results import Estimate, Sweep
from core.results import head_name
from pages.patching.plan import DIRECTIONS, ESTIMATED, SITES, Plan
from pages.shared import definitions, jobs, state
from pages.shared.answers import ask
from pages.shared.figures import below, figure
from pages.shared.jobs import POLL, Answer

TOP = 12


def controls(answer: Answer | None) -> Plan:
    """Direction, site, positions, and whether scores or effects are shown; all of it in the address."""
    overview: Overview | None = answer.result if answer else None
    st.subheader("What carries the rephrasing from one model into the other?")
    with st.container(horizontal=True, vertical_alignment="bottom", key="patch_controls"):
        direction = choice(st.segmented_control, "Direction (donor → recipient)", "direction", DIRECTIONS, required=True)
        site = choice(st.selectbox, "Patched activation", "site", SITES, width=280)
        places = {"all": "all", "end": "END only"}
        if overview and overview.prompt.roles["picked"] is not None:
            places["picked"] = "the picked token"
        positions = choice(st.segmented_control, "Positions", "positions", places, required=True)
        shown = {"score": "score", "effect": "effect, logits"}
        show = choice(st.segmented_control, "Show", "show", shown, required=True)
        with st.popover("What the sites are", type="tertiary"):
            st.markdown(definitions.SITES)
    if positions == "picked":
        positions = str(overview.prompt.roles["picked"])
    return Plan(site, direction, positions, show, overview)


def choice(kind, label: str, name: str, options: dict[str, str], **widget) -> str:
    """A widget on a parameter of the view; a value that the address names but nobody offers becomes the first."""
    key = f"input_{name}"
    value = state.view(name) if state.view(name) in options else next(iter(options))
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    change = lambda: state.set_view(name, st.session_state[key])  # noqa: E731
    kind(label, list(options), key=key, on_change=change, format_func=options.get, **widget)
    return value


def estimate(plan: Plan) -> Estimate | None:
    """The preview, where one is defined: over all positions, for outputs, values and MLPs."""
    if plan.site not in ESTIMATED or plan.positions != "all":
        return None
    answer = ask("estimate", site=plan.site, direction=plan.direction)
    return answer.result if answer is not None and answer.fresh else None


def score_map(plan: Plan, job: Job | None, preview: Estimate | None) -> None:
    """The map, filled as the sweep goes: estimates first, exact values as they arrive."""
    if job is None:
        return

    def show() -> None:
        sweep = job.result or (job.partial.result if job.partial else None)
        if sweep is None and preview is None:
            st.info("The first chunk of the sweep is running.")
        else:
            _map(plan, sweep, preview)
        _buttons(plan, job)

    st.fragment(show, run_every=None if job.finished else POLL)()


def _buttons(plan: Plan, job: Job) -> None:
    if not job.finished:
        stop = lambda: jobs.stop("sweep", **plan.options)  # noqa: E731
        st.button("Stop the sweep", on_click=stop, icon=":material/stop:", key="stop_sweep")
    elif job.state == "cancelled":
        resume = lambda: jobs.resume("sweep", **plan.options)  # noqa: E731
        st.button("Run the rest", on_click=resume, icon=":material/play_arrow:", key="resume_sweep")


def _map(plan: Plan, sweep: Sweep | None, preview: Estimate | None) -> None:
    known = sweep or preview.as_sweep()
    values = plan.values(known).copy()
    ran = np.isfinite(values) if sweep is not None else np.zeros(values.shape, bool)
    if preview is not None:
        values = np.where(ran, values, plan.values(preview.as_sweep()))
    if known.gap.reason:
        st.warning(known.gap.reason[0].upper() + known.gap.reason[1:] + ".")
    noise = known.gap.noise if plan.in_logits(known.gap) else known.gap.noise_score
    panel = Panel(
        DIRECTIONS[plan.direction],
        values,
        faint=ran & (np.abs(np.nan_to_num(values)) <= np.nan_to_num(noise)),
        estimated=~ran & np.isfinite(values),
    )
    title = f"{SITES[plan.site][0].upper()}{SITES[plan.site][1:]}, {DIRECTIONS[plan.direction]}"
    read = _read(plan, known, noise)
    if unit(plan.site) == "layer":
        _layer_map(title, panel, plan, known, read)
        return
    chosen = state.chosen_head(plan.overview.n_layers, plan.overview.n_heads)
    by_group = unit(plan.site) == "group"
    if by_group and chosen:
        chosen = (chosen[0], chosen[1] // plan.group_size)
    fig = head_heatmaps(
        [panel], title, plan.unit(known.gap), chosen=chosen, columns="KV group" if by_group else "head",
        notes=_notes(plan, by_group),
    )  # fmt: skip
    figure(fig, "patching", read, definitions.PATCHING, known.to_frame(), heads="group" if by_group else "head")


def _layer_map(title: str, panel: Panel, plan: Plan, known: Sweep, read: str) -> None:
    rows = {SITES[plan.site].split(" of ")[0]: np.stack([panel.values[:, 0], np.full(len(panel.values), np.nan)])}
    fig = layer_bars(rows, title, plan.unit(known.gap), series=(DIRECTIONS[plan.direction], " "))
    fig.update_traces(showlegend=False)
    figure(fig, "patching", read, definitions.PATCHING, known.to_frame())


def _read(plan: Plan, known: Sweep, noise: float) -> str:
    what = "logits that the patch adds" if plan.in_logits(known.gap) else "share of the gap that the patch moves"
    floor = f" Noise floor {noise:.1e}." if np.isfinite(noise) else ""
    click = "" if unit(plan.site) == "layer" else " Click a cell to choose its head everywhere."
    return f"One patched run a cell: the {what}; green towards the donor's answer.{click}{floor}"


def _notes(plan: Plan, by_group: bool) -> list[list[str]]:
    """Which query heads share a value vector."""
    size, layers = plan.group_size, plan.overview.n_layers
    columns = plan.overview.n_groups if by_group else plan.overview.n_heads
    groups = range(columns) if by_group else [h // size for h in range(columns)]
    shared = [f"query heads {g * size} to {(g + 1) * size - 1} share KV group {g}" if size > 1 else "" for g in groups]
    return [shared] * layers


def top_table(plan: Plan, sweep: Sweep, attention: Answer | None) -> None:
    """The components that move the recipient furthest, with what else is known about them."""
    if unit(plan.site) == "layer":
        return
    table = _table(plan, sweep, attention)
    st.markdown("**The components that move the recipient furthest**")
    formats = {
        name: st.column_config.NumberColumn(format="%.2f" if name.startswith("A(") else "%+.3f")
        for name in table
        if name not in ("name", "query heads")
    }

    def choose() -> None:
        rows = st.session_state.top_patching.selection.rows
        if rows:
            layer, column = sweep.top(TOP)[rows[0]]
            head = column * plan.group_size if unit(plan.site) == "group" else column
            state.set_view("head", head_name(layer, head))

    st.dataframe(
        table, key="top_patching", hide_index=True, column_config=formats, on_select=choose,
        selection_mode="single-row", width="stretch",
    )  # fmt: skip
    below(
        "top_patching_heads",
        "Largest movement towards the donor first. Select a row to choose its head.",
        definitions.PATCHING,
        table,
    )


def _table(plan: Plan, sweep: Sweep, attention: Answer | None) -> pd.DataFrame:
    rows = []
    for layer, column in sweep.top(TOP):
        row = {"name": sweep.name(layer, column), "effect": sweep.effect[layer, column], "score": sweep.score[layer, column]}
        if unit(plan.site) == "group":
            first = column * plan.group_size
            row["query heads"] = f"{first}–{first + plan.group_size - 1}" if plan.group_size > 1 else str(first)
        elif attention is not None and attention.fresh:
            row |= _attention_columns(attention.result, layer, column)
        rows.append(row)
    return pd.DataFrame(rows)


def _attention_columns(attention, layer: int, head: int) -> dict[str, float]:
    found = {}
    for role in ("original", "colon"):
        if role in attention.roles:
            word = attention.tokens[attention.roles[role]].strip()
            base, instruct = attention.at(role)[:, layer, head]
            found |= {f"A({word}→END) BASE": base, f"A({word}→END) INSTRUCT": instruct}
    base, instruct = attention.dla[:, layer, head]
    return found | {"DLA BASE": base, "DLA INSTRUCT": instruct}
