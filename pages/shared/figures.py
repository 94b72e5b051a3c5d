"""A figure with what belongs to it: how to read it, its definition one click away, its data as CSV."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.shared import state

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoom2d", "pan2d"]}


def figure(fig: go.Figure, key: str, read: str, definition: str, table: pd.DataFrame, heads: str = "") -> None:
    """Show a figure. heads: "head" or "group" where a click on a cell chooses its head, everywhere in the app."""
    on_select = _choose_head(key, heads) if heads else "ignore"
    options = {"selection_mode": "points", "on_select": on_select} if heads else {}
    st.plotly_chart(fig, key=key, config=CONFIG, width="stretch", **options)
    below(key, read, definition, table)


def below(key: str, read: str, definition: str, table: pd.DataFrame) -> None:
    """The line under a figure: how to read it, definition, download."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"below_{key}"):
        st.caption(read, width="stretch")
        with st.popover("Definition", type="tertiary"):
            st.markdown(definition)
        st.download_button(
            "CSV",
            lambda: table.to_csv(index=False),
            file_name=f"{key}.csv",
            mime="text/csv",
            key=f"csv_{key}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _choose_head(key: str, heads: str) -> Callable[[], None]:
    def choose() -> None:
        points = st.session_state[key].selection.points
        # A second click on the same cell, or new data, empties the selection: the choice stays.
        if points and points[-1].get("customdata"):
            layer, column = points[-1]["customdata"][:2]
            state.set_view("head", f"L{layer}H{column * state.group_size() if heads == 'group' else column}")

    return choose
