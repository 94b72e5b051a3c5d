"""Attention: where END looks in each model, head by head, and where the two models differ."""

import streamlit as st

from pages.attention import listed, maps, patterns
from pages.shared import heads
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet

st.subheader("Where does the model look, and where do the two look differently?")
overview = ask("overview")
answer = ask("attention")
attention = answer.result
if attention is None or overview.result is None:
    nothing_yet(overview, answer)
else:
    head = heads.on_screen(attention)
    above, layer = st.container(), st.container()
    # A layer's small maps are quickly drawn: they do not wait for the large figures above them.
    with layer:
        patterns.layer(head)
    with above:
        with figures(overview, answer, key="attention"):
            maps.sources(attention, overview.result)
            maps.strips(attention, head)
            maps.heatmaps(attention, head)
            maps.layers(attention)
            chosen = listed.choose(attention)
            listed.tables(attention, chosen)
        patterns.of_head(head)
    patterns.of_list(chosen)
