"""Prompts: what holds beyond one sentence, over a set of prompts, with how sure it is."""

import streamlit as st

from core.sets import definitions
from pages.prompts import choosing, sections, spread
from pages.shared import stage
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet
from pages.shared.finding import finding
from pages.shared.headings import heading

overview = ask("overview")
heading("Does it hold beyond one sentence?")
place, above = st.container(), st.container()
if overview.result is None:
    nothing_yet(overview)
elif stage.on():
    spread.on_stage(overview)
else:
    with above:
        chosen, beside = choosing.controls(overview.result)
    if chosen is not None:
        answer = spread.ask_for(overview, chosen)
        with place, figures(answer, key="finding"):
            finding(spread.found(answer), definitions.SET)
        with above:
            progress = spread.progress(beside)
            spread.prompts(overview, chosen, answer)
        asked = [answer, *sections.section(overview, chosen, answer)]
        spread.first(asked)
        progress(asked)
