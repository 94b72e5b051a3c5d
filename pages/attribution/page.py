"""Attribution: which layers and heads write the logit difference directly, in each model."""

from functools import partial

import streamlit as st

from core import definitions, findings
from core.charts.attribution import layer_attribution, layer_span
from pages.attribution import neurons, parts
from pages.shared import heads, stage, state
from pages.shared.asking import ask
from pages.shared.drawn import drawn
from pages.shared.figures import figure, figures, nothing_yet
from pages.shared.finding import finding
from pages.shared.headings import heading

heading("Where is the logit difference written?")
overview = ask("overview")
upper, lower = st.container(), st.container()
# What is projected on decides the figures above it.
with lower:
    project = state.view("project") if stage.on() else parts.project()
answer = ask("attribution", projection=project)
# On the stage stands one figure.
depth = answer if stage.on() else ask("depth")
if answer.result is None or depth.result is None:
    with upper:
        nothing_yet(overview, answer, depth)
else:
    attribution = answer.result
    with upper, figures(overview, answer, key="attribution"):
        finding(findings.of_attribution(attribution), definitions.ATTRIBUTION)
    if not stage.on():
        with upper, figures(overview, depth, key="depth"):
            parts.lens(depth.result)
    with upper, figures(answer, key="attribution_layers"):
        span = stage.steady("layer attribution", layer_span(attribution.attn, attribution.mlp))
        figure(
            drawn(layer_attribution, attribution, stage.size(), span),
            "layer_attribution",
            "What a layer's attention or MLP adds to the logit difference directly; above 0 towards the answer.",
            definitions.ATTRIBUTION,
            partial(parts.layer_table, attribution),
        )
    if not stage.on():
        with lower, figures(answer, key="attribution_heads"):
            layers, count = attribution.head.shape[1:]
            chosen = heads.chosen((layers, count))
            figure(
                drawn(parts.head_map, attribution, chosen.place if chosen else None),
                "head_attribution",
                "One cell a head, one scale for all three. Click a cell to choose its head everywhere.",
                definitions.ATTRIBUTION,
                attribution.to_frame,
                heads="head",
            )
            parts.chosen_head(attribution, chosen)
            parts.top_heads(attribution)
            parts.badges(attribution, depth.result)
        with lower:
            neurons.section(overview, attribution)
