"""Patching: which components, taken from one model and put into the other, bring its behaviour with them."""

import streamlit as st

from pages.patching import parts, sections
from pages.shared.answers import ask, figures, follow

overview = ask("overview")
plan = parts.controls(overview)
with figures(overview):
    if overview is None:
        st.info("The first figures appear once both models have run.")
    elif overview.fresh:
        estimate = parts.estimate(plan)
        job = follow("sweep", **plan.options)
        parts.score_map(plan, job, estimate)
        if job is not None and job.state == "done":
            parts.top_table(plan, job.result, ask("attention"))
        sections.show(plan, job, estimate)
