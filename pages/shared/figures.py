"""A figure with what belongs to it: how to read it, its definition one click away, its data as CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.results import head_name
from pages.shared import state

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoom2d", "pan2d"]}


# What a click carries (customdata) → the (layer, head) that it chooses.
Heads = Callable[[Sequence[int]], tuple[int, int]]


# A figure's data, or what makes them when somebody asks for them.
Table = pd.DataFrame | Callable[[], pd.DataFrame]


def figure(fig: go.Figure, key: str, read: str, definition: str, table: Table, heads: str | Heads = "") -> None:
    """Show a figure. heads: what makes a click choose a head everywhere in the app; "head" or "group" where it is on
    (layer, head) or (layer, KV group)."""
    on_select = _choose_head(key, heads) if heads else "ignore"
    options = {"selection_mode": "points", "on_select": on_select} if heads else {}
    st.plotly_chart(fig, key=key, config=CONFIG, width="stretch", **options)
    below(key, read, definition, table)


def below(key: str, read: str, definition: str, table: Table) -> None:
    """The line under a figure: how to read it, definition, download."""
    overview = st.session_state.get("last", {}).get("overview")
    if overview and overview.quantization:
        read += f" Weights are quantized to {overview.quantization}."
    with st.container(horizontal=True, vertical_alignment="center", key=f"below_{key}"):
        st.caption(read, width="stretch")
        with st.popover("Definition", type="tertiary"):
            st.markdown(definition)
        st.download_button(
            "CSV",
            lambda: (table() if callable(table) else table).to_csv(index=False),
            file_name=f"{key}.csv",
            mime="text/csv",
            key=f"csv_{key}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _choose_head(key: str, heads: str | Heads) -> Callable[[], None]:
    def choose() -> None:
        points = st.session_state[key].selection.points
        # A second click on the same cell, or new data, empties the selection: the choice stays.
        if points and points[-1].get("customdata"):
            layer, head = _head(points[-1]["customdata"], heads)
            state.set_view("head", head_name(layer, head))

    return choose


def _head(carried: Sequence[int], heads: str | Heads) -> tuple[int, int]:
    if callable(heads):
        return heads(carried)
    layer, column = carried[:2]
    return layer, column * state.group_size() if heads == "group" else column
