"""Patching: which components, taken from one model and put into the other, bring its behaviour with them."""

import streamlit as st

from pages.patching import choice, score_map, sections, table
from pages.shared import definitions
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet
from pages.shared.finding import finding

overview = ask("overview")
st.subheader("What carries the rephrasing from one model into the other?")
place, above = st.container(), st.container()
if overview.result is None:
    nothing_yet(overview)
elif (plan := choice.controls(overview.result)) is not None:
    with figures(overview, key="reading"):
        choice.reading(plan)
    progress = score_map.progress(overview, plan)
    with place, figures(overview, key="finding"):
        finding(score_map.found(overview, plan), definitions.PATCHING)
    with above:
        score_map.score_map(overview, plan)
    table.top_heads(overview, plan)
    sections.section(overview, plan)
    progress()
