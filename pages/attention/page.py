"""Attention: where END looks in each model, head by head, and where the two models differ."""

import streamlit as st

from pages.attention import parts, views
from pages.shared import heads
from pages.shared.answers import ask, figures

parts.title()
overview = ask("overview")
answer = ask("attention")
with figures(answer):
    if answer is None or overview is None:
        st.info("The first figures appear once both models have run.")
    else:
        attention = answer.result
        head = heads.on_screen(attention)
        above, layer = st.container(), st.container()
        # A layer's small maps are quickly drawn: they do not wait for the large figures above them.
        with layer:
            views.layer(attention, head)
        with above:
            parts.sources(attention, overview.result)
            parts.strips(attention, head)
            parts.heatmaps(attention, head)
            parts.layers(attention)
            listed = parts.head_list(attention)
            parts.tables(attention, listed)
            views.patterns(attention, head)
        views.chosen_heads(listed)
