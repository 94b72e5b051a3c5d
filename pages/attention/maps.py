"""The upper part of the Attention page: heatmaps, sources, tokens, layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.questions.overview import Overview
from core import definitions
from core.attention_results import Attention, LayerChange
from core.charts import theme
from core.charts.attention import layer_difference_lines
from core.charts.grid import Panel, outline
from core.charts.heatmap import head_heatmaps, model_panels
from core.results import MODELS
from core.wording import located
from pages.shared import heads, stage, state
from pages.shared.drawn import drawn
from pages.shared.figures import below, figure
from pages.shared.text import plain
from pages.shared.tokens import attention_strip
from pages.shared.widgets import choice, which_colon

BESIDE = 16  # heads of a layer up to which two maps stand side by side
MEASURES = {"weight": "attention", "value_weighted": "value-weighted", "written": "written along the difference"}
UNITS = {"weight": theme.ATTENTION, "value_weighted": "A·‖v W_O‖", "written": theme.LOGITS}


def sources(attention: Attention, overview: Overview) -> None:
    """Which colon, which picked token, and what a cell shows."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="attention_controls"):
        if len(overview.prompt.colons) > 1:
            which_colon("Which “:”", "which_colon")
        choice(st.segmented_control, "A cell shows", "measure", MEASURES, required=True)
        if "picked" in attention.roles:
            st.button("Follow no other token", on_click=lambda: state.edit(picked=None), key="unpick")


def strips(attention: Attention, head: heads.Chosen) -> None:
    """The prompt, coloured by what the chosen head attends to from END; a click follows that token."""
    layer, h = head.place
    with st.container(border=True, key="chosen_head"):
        heads.numbers(attention, head)
        for m, column in enumerate(st.columns(2)):
            with column:
                st.caption(f"{MODELS[m].upper()}: what {head.name} attends to from END")
                attention_strip(
                    attention.tokens,
                    attention.roles,
                    attention.weight[m, layer, h],
                    f"strip_{MODELS[m]}",
                    lambda i: state.edit(picked=i),
                )
    below(
        "chosen_attention",
        "The stronger the colour, the more of END's attention. Click a token to follow it in the maps.",
        definitions.ATTENTION,
        lambda: attention.tokens_frame(layer, h),
        heads.of(head.place),
    )


def heatmaps(attention: Attention, head: tuple[int, int]) -> None:
    """BASE | INSTRUCT | INSTRUCT − BASE of every head, one map a source, all on one scale."""
    measure = state.view("measure")
    roles = _mapped(attention)
    panels = {role: _panels(attention, role, measure) for role in roles}
    limit = max(float(np.abs(panel.values).max()) for role in roles for panel in panels[role]) or 1.0
    _, limit = stage.steady(f"attention, {measure}", (-limit, limit))
    for role, spot in zip(roles, places(len(roles), attention.weight.shape[2])):
        fig = drawn(_heatmap, attention, role, measure, limit, stage.size()).shaped(outline(head, len(panels[role])))
        at = attention.roles[role]
        where = f"{role.capitalize()}: {plain(located(attention.tokens, at))}."
        read = f"{where} One scale for all maps; click a cell to choose its head."
        table = partial(map_table, attention, role, measure)
        with spot:
            figure(fig, f"attention_{role}", read, definitions.ATTENTION, table, heads="head")


def _mapped(attention: Attention) -> list[str]:
    """The sources that have a map; on the stage one alone: the original word, where there is one."""
    roles = heads.followed(attention)
    return sorted(roles, key="original".__ne__)[:1] if stage.on() else roles


def _panels(attention: Attention, role: str, measure: str) -> tuple[Panel, ...]:
    return model_panels(getattr(attention, measure)[..., attention.roles[role]])


def _heatmap(attention: Attention, role: str, measure: str, limit: float, size: theme.SizeName) -> go.Figure:
    name = heads.named(attention, role)
    return head_heatmaps(
        _panels(attention, role, measure),
        title=name if measure == "weight" else f"{name}, {MEASURES[measure]}",
        unit=UNITS[measure],
        limit=limit,
        subtitle=heads.in_words(attention, role),
        size=size,
    )


def places(count: int, columns: int) -> list[DeltaGenerator]:
    """Two maps in a row, so that both are in sight; of wide ones each has the page's width."""
    if columns > BESIDE or count == 1:
        return [st.container() for _ in range(count)]
    return [column for start in range(0, count, 2) for column in st.columns(2)]


def map_table(attention: Attention, role: str, measure: str) -> pd.DataFrame:
    """A map's numbers, tidy."""
    frame = attention.to_frame(measure)
    return frame[frame["role"] == role]


def _layers(attention: Attention, roles: Sequence[str]) -> go.Figure:
    changes = _changes(attention, roles)
    return layer_difference_lines({name: change.mean_abs for name, change in changes.items()})


def _changes(attention: Attention, roles: Sequence[str]) -> dict[str, LayerChange]:
    return {
        (name := f"{heads.named(attention, role)}, {role}"): replace(attention.layers(role), name=name)
        for role in roles
    }


def layers(attention: Attention) -> None:
    """How much the models differ layer by layer, in lines and in words."""
    changes = _changes(attention, heads.followed(attention))
    frames = [change.to_frame().assign(source=name) for name, change in changes.items()]
    figure(
        drawn(_layers, attention, tuple(heads.followed(attention))),
        "attention_layers",
        "The mean over a layer's heads; the three layers that differ most are named.",
        definitions.ATTENTION_LAYERS,
        pd.concat(frames, ignore_index=True),
    )
    st.markdown("\n".join(f"- {plain(change.line())}." for change in changes.values()))
