"""The lower part of the Patching page: one section at a time, computed only while it is open."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from cache.job import Job
from core.charts.patching import (
    exact_vs_estimate,
    layer_position_map,
    pair_matrix,
    recovery_curve,
    value_output_scatter,
)
from core.patching_plan import LAYER_SITES
from core.patching_results import Estimate, agreement
from core.results import group_name, head_name
from pages.patching.parts import choice
from pages.patching.plan import SITES, Plan
from pages.shared import definitions, state
from pages.shared.answers import follow
from pages.shared.figures import below, figure
from pages.shared.jobs import POLL

SECTIONS = {
    "scatter": "Values against outputs",
    "groups": "KV groups",
    "pairs": "Pairs",
    "greedy": "Greedy circuit",
    "set": "A set of heads",
    "positions": "Layer × position",
    "estimate": "Estimate against exact",
}


def show(plan: Plan, sweep: Job | None, estimate: Estimate | None) -> None:
    """The chosen section."""
    st.divider()
    part = choice(st.segmented_control, "A closer look", "part", SECTIONS, required=True)
    if part == "estimate":
        _agreement(plan, sweep, estimate)
    else:
        {"scatter": _scatter, "groups": _groups, "pairs": _pairs, "greedy": _greedy, "set": _set, "positions": _positions}[
            part
        ](plan)


def _filled(jobs: list[Job | None], draw: Callable) -> None:
    """Draw from the jobs' results, or from what has run so far, again and again until they have ended."""

    def show() -> None:
        results = [job.result or (job.partial.result if job.partial else None) for job in jobs if job is not None]
        if len(results) == len(jobs) and all(result is not None for result in results):
            draw(*results)
        else:
            st.info("Waiting for the first chunk.")

    running = any(job is not None and not job.finished for job in jobs)
    st.fragment(show, run_every=POLL if running else None)()


def _scatter(plan: Plan) -> None:
    size = plan.group_size

    def draw(z, v, value_only) -> None:
        chosen = state.chosen_head(plan.overview.n_layers, plan.overview.n_heads)
        unit = plan.unit(z.gap)
        versions = {
            "as_in_the_post": (np.repeat(plan.values(v), size, axis=1), "As in the post", "value patch of the group"),
            "like_with_like": (plan.values(value_only), "Like with like", "value only, one head"),
        }
        for column, (key, (values, title, name)) in zip(st.columns(2), versions.items()):
            with column:
                fig = value_output_scatter(values, plan.values(z), size, title, unit, name, chosen)
                table = _points(values, plan.values(z))
                figure(fig, key, "Lines join a KV group.", definitions.SCATTER, table, heads="head")

    _filled([follow("sweep", **plan.at(site)) for site in ("z", "v", "value_only")], draw)


def _points(values: np.ndarray, outputs: np.ndarray) -> pd.DataFrame:
    layers, heads = np.indices(values.shape)
    names = [head_name(layer, head) for layer, head in zip(layers.ravel(), heads.ravel())]
    columns = {"layer": layers.ravel(), "head": heads.ravel(), "value": values.ravel(), "output": outputs.ravel()}
    return pd.DataFrame({"name": names, **columns})


def _groups(plan: Plan) -> None:
    def draw(z, v, value_only, joint) -> None:
        if plan.group_size == 1:
            st.info("In this model every query head has values of its own: there are no groups to compare.")
            return
        table = _group_table(plan, *map(plan.values, (z, v, value_only, joint)))
        numbers = {n: st.column_config.NumberColumn(format="%+.3f") for n in table if table[n].dtype == float}
        st.dataframe(table, hide_index=True, column_config=numbers, width="stretch")
        read = f"In {plan.unit(z.gap)}; largest value patch first. A joint patch that differs from the sum is interaction."
        below("groups", read, definitions.GROUPS, table)

    _filled([follow("sweep", **plan.at(site)) for site in ("z", "v", "value_only", "joint_z")], draw)


def _group_table(plan: Plan, z, v, value_only, joint) -> pd.DataFrame:
    size = plan.group_size
    rows = []
    for layer, group in zip(*np.unravel_index(np.argsort(-np.abs(np.nan_to_num(v)), axis=None), v.shape)):
        heads = slice(group * size, (group + 1) * size)
        values, outputs = value_only[layer, heads], z[layer, heads]
        rows.append(
            {
                "group": group_name(layer, group),
                "query heads": ", ".join(str(h) for h in range(group * size, (group + 1) * size)),
                "value patch, joint": float(v[layer, group]),
                "sum of single value-only": float(values.sum()),
                "single value-only": "  ".join(f"{x:+.3f}" for x in values),
                "output patch, joint": float(joint[layer, group]),
                "sum of single outputs": float(outputs.sum()),
                "single outputs": "  ".join(f"{x:+.3f}" for x in outputs),
            }
        )
    return pd.DataFrame(rows)


def _top(plan: Plan, count: int) -> tuple[tuple[int, int], ...] | None:
    """The heads with the highest output scores, once that sweep has run."""
    job = follow("sweep", **plan.at("z"))
    if job is None or job.state != "done":
        st.info("The heads are chosen once the sweep over outputs (z) has run.")
        return None
    return tuple(job.result.top(count))


def _pairs(plan: Plan) -> None:
    most = min(16, plan.overview.n_layers * plan.overview.n_heads)
    count = st.number_input("Heads, by output score", 2, most, min(6, most), key="pairs_count", width=200)
    members = _top(plan, int(count))
    if members is None:
        return

    def draw(pairs) -> None:
        names = [head_name(*member) for member in pairs.members]
        logits = plan.in_logits(pairs.gap)
        values = pairs.interaction if logits else pairs.score_interaction
        fig = pair_matrix(values, names, unit=plan.unit(pairs.gap))
        read = "Green: two heads do more together than the sum of both alone; purple: they overlap."
        figure(fig, "pairs", read, definitions.PAIRS, pairs.to_frame())

    _filled([follow("pairs", members=members, **plan.at("z"))], draw)


def _greedy(plan: Plan) -> None:
    most = min(20, plan.overview.n_layers * plan.overview.n_heads)
    steps = st.number_input("Heads in the circuit", 1, most, min(6, most), key="greedy_steps", width=200)

    def draw(greedy) -> None:
        if not greedy.members:
            st.info("Choosing the first head.")
            return
        names = [head_name(*member) for member in greedy.members]
        logits = plan.in_logits(greedy.gap)
        total = abs(greedy.gap.donor - greedy.gap.recipient) if logits and not greedy.gap.reason else 1.0
        fig = recovery_curve(plan.values(greedy), names, unit=plan.unit(greedy.gap), total=total)
        read = "What the heads so far move together; the dotted line is the whole gap."
        figure(fig, "greedy", read, definitions.GREEDY, greedy.to_frame())

    _filled([follow("greedy", steps=int(steps), **plan.at("z"))], draw)


def _set(plan: Plan) -> None:
    places = [(layer, head) for layer in range(plan.overview.n_layers) for head in range(plan.overview.n_heads)]
    chosen = state.chosen_head(plan.overview.n_layers, plan.overview.n_heads)
    members = st.multiselect(
        "Heads whose outputs are patched together",
        places,
        default=[chosen] if chosen else [],
        format_func=lambda place: head_name(*place),
        key="set_members",
    )
    if not members:
        st.info("Choose at least one head.")
        return

    def draw(sets) -> None:
        columns = st.columns(3)
        columns[0].metric("Effect, logits", f"{sets.effect[0]:+.3f}".replace("-", "−"))
        columns[1].metric("Score", "–" if sets.gap.reason else f"{sets.score[0]:+.3f}".replace("-", "−"))
        columns[2].metric("Logit difference when patched", f"{sets.logit_diff[0]:+.3f}".replace("-", "−"))
        below("set", "All chosen heads take the donor's output in one run.", definitions.PATCHING, sets.to_frame())

    _filled([follow("head_set", members=tuple(sorted(members)), **plan.at("z"))], draw)


def _positions(plan: Plan) -> None:
    sites = {site: SITES[site] for site in LAYER_SITES}
    site = st.segmented_control("Whole layer", list(sites), default="resid_pre", format_func=sites.get, key="map_site")
    site = site or "resid_pre"

    def draw(positions) -> None:
        title = f"{SITES[site][0].upper()}{SITES[site][1:]}, one position at a time"
        fig = layer_position_map(plan.values(positions), plan.overview.prompt.tokens, title, plan.unit(positions.gap))
        read = "One patched run a cell: a whole layer's activation replaced at a single token."
        figure(fig, "position_map", read, definitions.POSITION_MAP, positions.to_frame())

    _filled([follow("position_map", site=site, direction=plan.direction)], draw)


def _agreement(plan: Plan, sweep: Job | None, estimate: Estimate | None) -> None:
    if estimate is None:
        st.info("Estimates exist for outputs (z), values (v) and MLP outputs, at all positions.")
        return

    def draw(exact) -> None:
        layers, columns = exact.logit_diff.shape
        names = [exact.name(layer, column) for layer in range(layers) for column in range(columns)]
        measured = agreement(estimate, exact)
        fig = exact_vs_estimate(estimate.effect, exact.effect, names, measured.correlation)
        table = pd.DataFrame({"name": names, "estimate": estimate.effect.ravel(), "exact": exact.effect.ravel()})
        read = f"{measured.cells} cells have run; on the dotted line estimate and exact effect agree."
        figure(fig, "estimate", read, definitions.AGREEMENT, table)

    _filled([sweep], draw)
