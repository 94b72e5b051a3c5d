"""Patching: which components, taken from one model and put into the other, bring its behaviour with them."""

import streamlit as st

from core import definitions
from pages.patching import choice, panel, score_map, sections, table
from pages.shared import heads, stage
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet
from pages.shared.finding import finding
from pages.shared.headings import heading

overview = ask("overview")
heading("What carries the rephrasing from one model into the other?")
place, above = st.container(), st.container()
if overview.result is None:
    nothing_yet(overview)
elif stage.on():
    score_map.on_stage(overview, choice.viewed(overview.result))
elif (plan := choice.controls(overview.result)) is not None:
    with figures(overview, key="reading"):
        choice.reading(plan)
    progress = score_map.progress(overview, plan)
    chosen = heads.chosen((plan.overview.n_layers, plan.overview.n_heads))
    head = chosen.place if chosen else None
    with place, figures(overview, key="finding"):
        finding(score_map.found(overview, plan), definitions.PATCHING)
    with above:
        map_, beside = st.columns([5, 2], gap="medium")
        with map_:
            score_map.score_map(overview, plan, head)
        with beside:
            panel.panel(overview, plan, chosen)
    table.top_heads(overview, plan, head)
    sections.section(overview, plan, head)
    progress()
