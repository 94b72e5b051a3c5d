"""The parts of the Attribution page."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core import definitions, findings
from core.charts.depth import logit_lens
from core.charts.heatmap import head_heatmaps, model_panels
from core.results import MODELS, Attribution, Depth
from core.wording import brief, signed
from pages.shared import heads, state, tables
from pages.shared.drawn import drawn
from pages.shared.figures import below, figure
from pages.shared.headings import part
from pages.shared.text import plain
from pages.shared.widgets import choice

TOP = 12
LABELS = ("BASE", "INSTRUCT", "INSTRUCT − BASE")
_LENS = {"difference": "logit difference", "candidates": "answer and original"}
_PROJECT = {"own": "each model's own", "base": "BASE's", "instruct": "INSTRUCT's"}


def project() -> str:
    """Whose unembedding is projected on."""
    return choice(st.segmented_control, "Project on the unembedding of", "project", _PROJECT, required=True)


def lens(depth: Depth) -> None:
    """The logit lens, with what it says; the switch stands below it, where it moves nothing."""
    figure(
        drawn(logit_lens, depth, state.view("lens") == "candidates"),
        "logit_lens",
        plain(findings.of_depth(depth)),
        definitions.DEPTH,
        depth.to_frame,
    )
    choice(st.segmented_control, "Lines of the logit lens", "lens", _LENS, required=True)


def badges(attribution: Attribution, depth: Depth) -> None:
    """The identities and the final scale of both models."""
    scales = [f"{name}: final scale 1/rms {brief(scale)}" for name, scale in zip(MODELS, attribution.scale)]
    tables.badges((*attribution.checks, *depth.checks), "badges", definitions.CHECKS, *scales)


def head_map(attribution: Attribution, chosen: heads.Place | None) -> go.Figure:
    panels = model_panels(attribution.head)
    return head_heatmaps(panels, title="Direct logit attribution of every head", chosen=chosen)


def layer_table(attribution: Attribution) -> pd.DataFrame:
    frame = attribution.to_frame()
    return frame[frame["component"] != "head"]


def chosen_head(attribution: Attribution, chosen: heads.Chosen | None) -> None:
    """The chosen head's numbers in both models."""
    with st.container(border=True, key="chosen_head"):
        if chosen is None:
            st.markdown("**No head chosen.** Click a cell above or a row below.")
            return
        layer, head = chosen.place
        base, instruct = attribution.head[:, layer, head]
        columns = st.columns(4)
        columns[0].metric("Chosen head", chosen.name)
        for column, label, value in zip(columns[1:], LABELS, (base, instruct, instruct - base)):
            column.metric(label, signed(value, 3))
        heads.link(chosen.place)
        heads.reason(chosen)


def top_heads(attribution: Attribution) -> None:
    """The heads whose share changed most."""
    table = attribution.top_heads(TOP)
    part("Heads whose direct share differs most")
    tables.choosable(tables.worded(table), "top_attribution", list(zip(table["layer"], table["head"])))
    below(
        "top_heads", "In logits, largest change first. Select a row to choose its head.", definitions.ATTRIBUTION, table
    )
