"""One head: everything that is known about it, BASE beside INSTRUCT."""

import streamlit as st

from pages.head import parts
from pages.shared import definitions, heads
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet
from pages.shared.tables import badges

overview = ask("overview")
answer = ask("attention")
attention = answer.result
if attention is None:
    st.subheader("What does one head do?")
    nothing_yet(overview, answer)
else:
    layer, head = heads.on_screen(attention)
    parts.title((layer, head), attention)
    source, ov_input = parts.controls(attention)
    asked = ask("head", layer=layer, head=head, source=source, ov_input=ov_input)
    scores = ask("head_scores")
    patches = ask("head_patches", layer=layer, head=head)
    report = asked.result
    with figures(overview, asked, key="head"):
        if report is not None:
            parts.sentence(asked, patches, scores, heads.first_name(attention))
            parts.by_token(report)
            parts.pattern(report)
    with figures(patches, key="patches"):
        parts.patch_table(patches.result, (layer, head))
    with figures(asked, key="report"):
        if report is not None:
            parts.ov_tables(report)
            parts.weights(report)
    with figures(scores, key="scores"):
        # Another pair's may have fewer heads.
        parts.score_table(scores.result if scores.agrees_with(answer) else None, (layer, head))
    with figures(asked, key="checks"):
        if report is not None:
            badges(report.checks, "head_badges", definitions.HEAD_CHECKS)
