"""Attention, of A and B: where END looks in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from core import compared, definitions
from core.attention_results import Attention
from core.charts.compared import map_panels
from core.charts.grid import Panel, colour_limit
from core.charts.heatmap import head_heatmaps
from core.comparison import other_shape
from core.findings import of_attention
from pages.attention import maps
from pages.shared import comparing, heads, stage, state
from pages.shared.comparing import Both
from pages.shared.figures import figure, figures
from pages.shared.headings import heading
from pages.shared.text import plain
from pages.shared.widgets import choice

_OF: Mapping[str, str] = {"change": "INSTRUCT − BASE", "base": "BASE", "instruct": "INSTRUCT"}


def show(both: Both) -> None:
    a, b = both.ask("attention")
    heading("Where does the model look, in A and in B?")
    if not comparing.ready(both, *both.overviews, a, b):
        return
    # A role that one of both lacks has nothing to stand beside.
    roles = [role for role in heads.followed(b.result) if role in a.result.roles] or ["end"]
    if stage.on():
        roles = sorted(roles, key="original".__ne__)[:1]
    said = [of_attention(a.result, roles), of_attention(b.result, roles)]
    comparing.findings([a], [b], [*said, compared.of_attention(a.result, b.result, roles)], definitions.ATTENTION)
    with figures(b, a, key="compared"):
        _maps(both, a.result, b.result, roles)
    if not stage.on():
        _controls()


def _controls() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="attention_controls"):
        choice(st.segmented_control, "Of A and B", "of", dict(_OF), required=True)
        choice(st.segmented_control, "A cell shows", "measure", dict(maps.MEASURES), required=True)


def _maps(both: Both, a: Attention, b: Attention, roles: Sequence[str]) -> None:
    """A map a source, all on one scale; without a difference A's and B's are figures of their own."""
    titles = comparing.titles(*both.overviews)
    no_difference = other_shape(a.weight.shape[1:3], b.weight.shape[1:3])
    panels = {role: map_panels(_values(a, role), _values(b, role), titles) for role in roles}
    limit = colour_limit([panel for several in panels.values() for panel in several])
    _, limit = stage.steady(f"compared attention, {state.view('measure')}, {state.view('of')}", (-limit, limit))
    chosen = heads.chosen(b.weight.shape[1:3])
    for role, spot in zip(roles, maps.places(len(roles), b.weight.shape[2])):
        with spot:
            groups = [panels[role][:1], panels[role][1:]] if no_difference else [panels[role]]
            for group, column in zip(groups, st.columns(len(groups))):
                with column:
                    of_b = group[-1] is panels[role][-1]
                    fig = _heatmap(role, group, limit, chosen.place if chosen and of_b else None)
                    _figure(both, a, b, role, fig, of_b, no_difference)


def _heatmap(role: str, panels: Sequence[Panel], limit: float, chosen: heads.Place | None):
    measure = state.view("measure")
    named = maps.MEASURES[measure][0].upper() + maps.MEASURES[measure][1:]
    title, unit = f"{named}, {_OF[state.view('of')]}, to the {role}", maps.UNITS[measure]
    return head_heatmaps(panels, title, unit, limit=limit, chosen=chosen, size=comparing.size())


def _figure(both: Both, a: Attention, b: Attention, role: str, fig, of_b: bool, no_difference: str) -> None:
    measure = state.view("measure")
    sources = f"A: {plain(heads.in_words(a, role))}; B: {plain(heads.in_words(b, role))}"
    read = comparing.reading(f"{_OF[state.view('of')]}. {sources}.", no_difference)
    rows = (maps.map_table(a, role, measure), maps.map_table(b, role, measure))
    table = comparing.table(both, rows, by=("model", "role", "layer", "head"))
    key = f"compared_attention_{role}" + ("" if of_b else "_a")
    # A click chooses a head of B's models.
    figure(fig, key, read, definitions.ATTENTION, table, heads="head" if of_b else "", of=comparing.of(both))


def _values(found: Attention, role: str) -> np.ndarray:
    base, instruct = getattr(found, state.view("measure"))[..., found.roles[role]]
    return {"base": base, "instruct": instruct, "change": instruct - base}[state.view("of")]
