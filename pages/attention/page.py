"""Attention: where END looks in each model, head by head, and where the two models differ."""

import streamlit as st

from pages.attention import maps, patterns
from pages.shared import heads
from pages.shared.answers import ask, figures

maps.title()
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
            patterns.layer(attention, head)
        with above:
            maps.sources(attention, overview.result)
            maps.strips(attention, head)
            maps.heatmaps(attention, head)
            maps.layers(attention)
            listed = maps.head_list(attention)
            maps.tables(attention, listed)
            patterns.patterns(attention, head)
        patterns.chosen_heads(listed)
