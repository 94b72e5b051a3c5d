"""The parts of the Attribution page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.results import MODELS, Attribution, head_name
from pages.shared import definitions, heads, state
from pages.shared.figures import below
from pages.shared.widgets import choice

TOP = 12
_PROJECT = {"own": "each model's own", "base": "BASE's", "instruct": "INSTRUCT's"}


def controls() -> str:
    """Title, and whose unembedding is projected on."""
    st.subheader("Where is the logit difference written?")
    return choice(st.segmented_control, "Project on the direction of", "project", _PROJECT, required=True)


def badges(attribution: Attribution) -> None:
    """The identities and the final scale of both models."""
    with st.container(horizontal=True, vertical_alignment="center", key="badges"):
        for check in attribution.checks:
            icon, color = (":material/check:", "green") if check.holds else (":material/close:", "red")
            st.badge(f"{check.name}: {check.residual:.0e}", icon=icon, color=color)
        for name, scale in zip(MODELS, attribution.scale):
            st.badge(f"{name}: final scale 1/rms {scale:.3g}", color="gray")
        with st.popover("What is checked", type="tertiary"):
            st.markdown(definitions.CHECKS)


def layer_table(attribution: Attribution) -> pd.DataFrame:
    frame = attribution.to_frame()
    return frame[frame["component"] != "head"]


def chosen_head(attribution: Attribution, chosen: tuple[int, int] | None) -> None:
    """The chosen head's numbers in both models."""
    with st.container(border=True, key="chosen_head"):
        if chosen is None:
            st.markdown("**No head chosen.** Click a cell above or a row below.")
            return
        layer, head = chosen
        base, instruct = attribution.head[:, layer, head]
        columns = st.columns(4)
        columns[0].metric("Chosen head", head_name(layer, head))
        columns[1].metric("BASE", _logits(base))
        columns[2].metric("INSTRUCT", _logits(instruct))
        columns[3].metric("INSTRUCT − BASE", _logits(instruct - base))
        heads.link(chosen)


def _logits(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def top_heads(attribution: Attribution) -> None:
    """The heads whose share changed most."""
    table = attribution.top_heads(TOP)
    st.markdown("**Heads whose direct share differs most**")
    columns = {name: st.column_config.NumberColumn(format="%+.3f") for name in ("base", "instruct", "change")}

    def choose() -> None:
        rows = st.session_state.top_attribution.selection.rows
        if rows:
            state.set_view("head", str(table["name"].iloc[rows[0]]))

    st.dataframe(
        table,
        key="top_attribution",
        hide_index=True,
        column_config=columns,
        on_select=choose,
        selection_mode="single-row",
        width="stretch",
    )
    below(
        "top_heads", "In logits, largest change first. Select a row to choose its head.", definitions.ATTRIBUTION, table
    )
