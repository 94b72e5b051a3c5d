"""The lower part of the Patching page: one section at a time, computed only while it is open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core import definitions
from core.charts.patching import exact_vs_estimate, layer_position_map, pair_matrix, recovery_curve
from core.patching.members import name_of
from core.patching.plan import LAYER_SITES, unit
from core.patching.results import Agreement, agreement
from core.wording import brief, signed, unsigned
from pages.patching import direct, values
from pages.patching.card import card_section
from pages.patching.plan import SITES, Plan
from pages.patching.score_map import grey
from pages.patching.sets import as_set, set_input
from pages.patching.table import numbers
from pages.shared import state
from pages.shared.asking import Answer, follow
from pages.shared.figures import below, figure
from pages.shared.filling import filled
from pages.shared.heads import Place
from pages.shared.tables import choosable
from pages.shared.widgets import choice, show

TITLES = {
    "greedy": "Greedy circuit",
    "set": "A set of heads",
    "card": "Circuit card",
    "pairs": "Pairs",
    "direct": "Direct against total",
    "scatter": "Value against output",
    "groups": "KV groups",
    "positions": "Layer × position",
    "estimate": "Estimate",
}


def section(overview: Answer, plan: Plan, head: Place | None) -> None:
    """The chosen one; head: the chosen head."""
    part = state.view("part")
    change = lambda chosen: state.set_view("part", chosen or "")  # noqa: E731
    show(
        st.segmented_control, "Closer looks, each computed once it is opened", "input_part", part or None, change,
        options=list(TITLES), format_func=TITLES.get,
    )  # fmt: skip
    sections: dict[str, Callable[[Answer, Plan], None]] = {"greedy": _greedy, "set": _set, "pairs": _pairs}
    sections |= {"card": card_section, "direct": partial(direct.section, head=head)}
    sections |= {"scatter": partial(_scatter, head=head)}
    sections |= {"groups": _groups, "positions": _positions, "estimate": _agreement}
    if part:
        with st.container(key="section"):
            sections[part](overview, plan)


def _sweeps(plan: Plan, *sites: str) -> list[tuple[str, dict]]:
    return [("sweep", plan.at(site)) for site in sites]


def _scatter(overview: Answer, plan: Plan, head: Place | None) -> None:
    across = {name: value for name, value in plan.options.items() if name != "site"}

    def draw(*sweeps) -> None:
        z, v, value_only = (sweep or plan.nothing_yet(site) for sweep, site in zip(sweeps, ("z", "v", "value_only")))
        for column, (key, fig, table, read) in zip(st.columns(2), values.scatters(plan, z, v, value_only, head)):
            with column:
                figure(fig, key, read, definitions.SCATTER, table, heads="head", of=across)

    filled(overview, _sweeps(plan, "z", "v", "value_only"), draw)


def _groups(overview: Answer, plan: Plan) -> None:
    if plan.group_size == 1:
        st.info("In this model every query head has values of its own: there are no groups to compare.")
        return
    # At single positions a value vector is patched where it is read from, a head's value where it is gathered.
    together = "v" if plan.positions == "all" else "joint_value_only"
    sites = ("z", together, "value_only", "joint_z")
    across = {name: value for name, value in plan.options.items() if name != "site"}

    def draw(*sweeps) -> None:
        found = [sweep or plan.nothing_yet(site) for sweep, site in zip(sweeps, sites)]
        table, groups = values.group_table(plan, *found)
        heads = [(layer, group * plan.group_size) for layer, group in groups]
        choosable(numbers(table), "groups", heads, height=35 * 13 + 3)
        read = f"In {plan.unit}; largest value patch first. Where the joint patch is not the sum, the heads interact."
        read += " In brackets: within the noise floor."
        below("kv_groups", read, definitions.GROUPS, values.group_csv(plan, groups, *found), across)

    filled(overview, _sweeps(plan, *sites), draw)


def _count(label: str, name: str, least: int, most: int) -> int:
    """A number in the address."""
    value = min(max(int(state.view(name)), least), most)
    change = lambda count: state.set_view(name, str(int(count)))  # noqa: E731
    show(st.number_input, label, f"input_{name}", value, change, min_value=least, max_value=most, width=220)
    return value


def _pairs(overview: Answer, plan: Plan) -> None:
    of, total = plan.of_sets, plan.shape.layers * plan.shape.width(plan.of_sets["site"])
    with st.container(horizontal=True, vertical_alignment="bottom", key="pairs_controls"):
        count = _count(f"{plan.members} that do most alone", "pairs", min(2, total), min(16, total))
        button = st.container(width="content")
    singles = follow(overview, "sweep", **of)
    if not singles.complete:
        st.info(f"They are chosen once the sweep of {of['site']} has run.")
        return
    members = tuple(singles.result.top(count))

    def draw(pairs) -> None:
        found = np.full((len(members),) * 2, np.nan)
        if pairs is not None:
            found = pairs.interaction if plan.in_logits else pairs.score_interaction
        faint = None if pairs is None else pairs.interaction_within_noise
        names = [name_of(member, of["site"]) for member in members]
        fig = pair_matrix(found, names, unit=plan.unit, faint=faint)
        more, less = ("purple", "green") if plan.downwards else ("green", "purple")
        read = f"{more.capitalize()}: two do more together than the sum of both alone; {less}: they overlap."
        read += "" if pairs is None else " Grey: within the noise of the three runs."
        table = pd.DataFrame() if pairs is None else pairs.to_frame()
        figure(fig, "pairs", read, definitions.PAIRS, table, heads=lambda cell: _head(plan, members[cell[0]]), of=of)

    filled(overview, [("pairs", {"members": members, **of})], draw)
    with button:
        as_set(members, "pairs_as_set", "those of the pairs", of["site"])


def _head(plan: Plan, member: Place) -> Place:
    """The query head that a member of a set at the page's site chooses."""
    return member[0], plan.head_of(plan.of_sets["site"], member[1])


def _greedy(overview: Answer, plan: Plan) -> None:
    of, heads = plan.of_sets, plan.shape.layers * plan.shape.width(plan.of_sets["site"])
    with st.container(horizontal=True, vertical_alignment="bottom", key="greedy_controls"):
        steps = _count(f"{plan.members} in the circuit", "steps", 1, min(20, heads))
        button = st.container(width="content")

    def draw(greedy) -> None:
        members = greedy.members if greedy is not None else ()
        curve = plan.values(greedy) if greedy is not None else np.zeros(0)
        total = plan.gap.donor - plan.gap.recipient if plan.in_logits else 1.0
        names = [name_of(member, of["site"]) for member in members]
        fig = recovery_curve(curve, names, unit=plan.unit, total=None if plan.gap.reason else total)
        read = "What the members so far move together" + (
            "." if plan.gap.reason else "; the dotted line is the whole gap."
        )
        if greedy is not None and greedy.candidates < heads:
            read += f" Chosen from the {greedy.candidates} best single ones."
        if greedy is not None and greedy.ended:
            read += f" No other one brings it closer by more than the noise floor ({greedy.gap.floor.text()})."
        table = pd.DataFrame() if greedy is None else greedy.to_frame()
        chooses = (lambda at: _head(plan, members[at[0]])) if members else ""
        figure(fig, "greedy", read, definitions.GREEDY, table, chooses, of)
        with button:
            as_set(members, "greedy_as_set", "the circuit so far", of["site"])

    filled(overview, [("greedy", {"steps": steps, **of})], draw)


def _set(overview: Answer, plan: Plan) -> None:
    members = set_input(plan)
    if not members:
        return

    def draw(sets) -> None:
        numbers = (float("nan"),) * 3 if sets is None else (sets.effect[0], sets.score[0], sets.logit_diff[0])
        labels = ("Effect, logits", "Score", "Logit difference when patched")
        for column, label, number in zip(st.columns(3), labels, numbers):
            column.metric(label, signed(number, 3))
        table = pd.DataFrame() if sets is None else sets.to_frame()
        read = "All of the set are taken from the donor in one run."
        if sets is not None and sets.complete and np.isfinite(sets.noise_floor[0]):
            floor = f"the noise floor of {brief(sets.noise_floor[0])} logits"
            read += f" The effect is within {floor}." if sets.within_noise[0] else f" Beyond {floor}."
        below("set", read, definitions.PATCHING, table, plan.of_sets)

    filled(overview, [("head_set", {"members": members, **plan.of_sets})], draw)


def _positions(overview: Answer, plan: Plan) -> None:
    sites = {site: SITES[site] for site in ("resid_pre", *(s for s in LAYER_SITES if s != "resid_pre"))}
    site = choice(st.segmented_control, "Patched at one position at a time", "map", sites, required=True)
    prompt, options = plan.overview.prompt, {"site": site, "direction": plan.direction} | plan.held

    def draw(found) -> None:
        shown = np.full((plan.overview.n_layers, len(prompt.ids)), np.nan) if found is None else plan.values(found)
        title = f"{SITES[site][0].upper()}{SITES[site][1:]}, one position at a time{plan.named}"
        faint = None if found is None else found.within_noise
        fig = layer_position_map(shown, prompt.tokens, title, plan.unit, prompt.roles, faint=faint)
        read = "One patched run a cell: a whole layer's activation taken from the donor at a single token."
        read += "" if found is None else f" {grey(found)}"
        table = pd.DataFrame() if found is None else found.to_frame()
        figure(fig, "position_map", read, definitions.POSITION_MAP, table, of=options)

    filled(overview, [("position_map", options)], draw)


def _largest(measured: Agreement) -> str:
    """Of the cells that move furthest: whether the estimate finds them, and how large it makes them."""
    if not np.isfinite(measured.ratio):
        return ""
    found = f"Of the {measured.most} that move furthest it finds {measured.overlap}"
    return f"{found}, at {unsigned(measured.ratio)} × their size. "


def _agreement(overview: Answer, plan: Plan) -> None:
    if not plan.has_estimate:
        exist = "Estimates exist for output patches (z), value patches (v) and MLPs, at all positions"
        st.info(f"{exist}, where patterns are not frozen.")
        return

    def draw(estimate, sweep) -> None:
        exact = sweep or plan.nothing_yet(plan.site)
        if estimate is None:
            st.info("The estimate is on its way.")
            return
        layers, columns = exact.logit_diff.shape
        names = [exact.name(layer, column) for layer in range(layers) for column in range(columns)]
        measured = agreement(estimate, exact)
        fig = exact_vs_estimate(estimate.effect, exact.effect, names, measured.correlation, faint=exact.within_noise)
        columns = {"estimate": estimate.effect, "exact": exact.effect, "noise_floor": exact.noise_floor}
        table = pd.DataFrame({"name": names} | {name: values.ravel() for name, values in columns.items()})
        read = f"{measured.cells} cells have run; on the dotted line estimate and exact effect agree. "
        read += f"{_largest(measured)}{grey(exact)}"
        kind = unit(plan.site)
        figure(fig, "estimate", read, definitions.AGREEMENT, table, "" if kind == "layer" else kind, plan.options)

    preview = {"site": plan.site, "direction": plan.direction}
    filled(overview, [("estimate", preview), ("sweep", plan.options)], draw)
