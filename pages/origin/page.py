"""Origin: what fine-tuning changed in a component, and what the component only carries."""

import streamlit as st

from core import definitions
from pages.origin import origin_map, sections
from pages.patching.choice import direction
from pages.shared import heads, stage
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet
from pages.shared.finding import finding
from pages.shared.headings import heading

overview = ask("overview")
heading("Changed here, or only carried here?")
place, above = st.container(), st.container()
if overview.result is None:
    nothing_yet(overview)
elif stage.on():
    origin_map.on_stage(overview)
else:
    plan = origin_map.plan(overview.result, direction())
    progress = origin_map.progress(overview, plan)
    chosen = heads.chosen((plan.overview.n_layers, plan.overview.n_heads))
    head = chosen.place if chosen else None
    with place, figures(overview, key="finding"):
        finding(origin_map.found(overview, plan), definitions.ORIGIN)
    with above:
        origin_map.maps(overview, plan, head)
        origin_map.numbers(overview, plan, chosen)
    sections.section(overview, plan, head)
    progress()
