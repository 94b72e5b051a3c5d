"""One head: everything that is known about it, BASE beside INSTRUCT."""

import streamlit as st

from core import definitions
from pages.head import controls, parts, paths
from pages.head.sources import source
from pages.shared import heads, stage, state
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet
from pages.shared.headings import heading
from pages.shared.tables import badges

overview = ask("overview")
answer = ask("attention")
attention = answer.result
if attention is None:
    heading("What does one head do?")
    nothing_yet(overview, answer)
elif stage.on():
    parts.on_stage(overview, attention)
else:
    chosen = heads.chosen_in(attention)
    layer, head = chosen.place
    parts.title(chosen, attention)
    above = st.container()
    asked = ask("head", layer=layer, head=head, source=source(attention, chosen.place), ov_input=state.view("ov"))
    scores, report = ask("head_scores"), asked.result
    patched = parts.patches(chosen.place)
    controls.section(chosen.place)
    paths.section(overview, chosen.place)
    with above, figures(overview, asked, key="head"):
        if report is not None:
            parts.sentence(asked, parts.evidence(report, patched), scores)
            parts.attended(report)
            parts.reading(report, heads.first_name(attention))
            heads.reason(chosen)
    with figures(asked, key="report"):
        if report is not None:
            parts.written(report)
            parts.pattern(report)
            parts.ov_tables(report)
            parts.weights(report)
    parts.score_table(scores, answer, chosen.place)
    with figures(asked, key="checks"):
        if report is not None:
            badges(report.checks, "head_badges", definitions.HEAD_CHECKS)
