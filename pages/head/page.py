"""One head: everything that is known about it, BASE beside INSTRUCT."""

import streamlit as st

from pages.head import parts
from pages.shared import heads
from pages.shared.answers import ask, figures

overview = ask("overview")
attention = ask("attention")
if attention is None:
    parts.title(None)
    st.info("The first figures appear once both models have run.")
else:
    layer, head = heads.on_screen(attention.result)
    parts.title((layer, head), attention.result)
    source, ov_input = parts.controls(attention.result)
    report = ask("head", layer=layer, head=head, source=source, ov_input=ov_input)
    scores = ask("head_scores")
    patches = ask("head_patches", layer=layer, head=head)
    with figures(report):
        if report is not None:
            parts.sentence(report, patches, scores, heads.first_name(attention.result))
            parts.by_token(report.result)
            parts.pattern(report.result)
            parts.patch_table(patches, report.result)
            parts.ov_tables(report.result)
            parts.weights(report.result)
            parts.score_table(scores, report.result)
            parts.badges(report.result)
