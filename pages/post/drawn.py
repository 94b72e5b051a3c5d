"""The steps' figures, live for the prompt on screen; on the stage one a step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from core import definitions
from core.charts import theme
from core.charts.attention import layer_difference_lines
from core.charts.attribution import layer_attribution, layer_span
from core.charts.figure import laid_out, parts
from core.charts.grid import Panel, colour_limit
from core.charts.heatmap import head_heatmaps, model_panels
from core.charts.origin import origin_panels
from core.charts.tokens import logit_difference_axis, logit_difference_bars, logit_difference_span
from core.post.rows import suppressing, top_heads
from pages.attention.maps import map_table
from pages.attribution.parts import layer_table
from pages.patching import values
from pages.patching.score_map import grey
from pages.post.ours import Ours
from pages.shared import stage, state
from pages.shared.figures import figure, figures
from pages.shared.widgets import choice

HIGHEST = 310  # px
_AGAINST = {"post": "as in the post", "like": "like with like"}
_CLICK = "One cell a head; click one to choose it everywhere."


def figure_of(step: str, ours: Ours) -> None:
    """Draw it, or say what it waits for."""
    with figures(*ours.answers, key="step"):
        if ours.attribution.result is None or ours.attention.result is None:
            st.info("The figure appears once both models have run.")
        else:
            _FIGURES[step](ours)


def _low(fig: go.Figure) -> go.Figure:
    """The figure no higher than one screen has room for beside a step's text; the stage gives heights of its own."""
    return fig if stage.on() else laid_out(fig, height=min(parts(fig)["layout"]["height"], HIGHEST))


def _prompt(ours: Ours) -> None:
    summary, prompt = ours.plan.overview.summary, ours.plan.overview.prompt
    span = stage.steady("logit difference", logit_difference_span(summary), axis=logit_difference_axis)
    fig = logit_difference_bars(summary, prompt.answer, prompt.original, stage.size(), span)
    figure(fig, "post_summary", "Right of 0 a model replaces.", definitions.LOGIT_DIFF, summary.to_frame())


def _layers(ours: Ours) -> None:
    found = ours.attribution.result
    span = stage.steady("layer attribution", layer_span(found.attn, found.mlp))
    read = "What a layer adds to the logit difference directly."
    fig = _low(layer_attribution(found, stage.size(), span))
    figure(fig, "post_layers", read, definitions.ATTRIBUTION, layer_table(found))


def _heads(ours: Ours) -> None:
    found = ours.attribution.result
    both = suppressing(ours.of_prompt(), ours.own)
    panels = model_panels(found.head)
    _, limit = stage.steady("head attribution", (-colour_limit(panels), colour_limit(panels)))
    title = "Direct logit attribution of every head"
    fig = head_heatmaps(panels, title, limit=limit, chosen=both[0] if both else None, size=stage.size())
    figure(fig, "post_heads", _CLICK, definitions.ATTRIBUTION, found.to_frame(), heads="head")


def _outputs(ours: Ours) -> None:
    sweep, plan = ours.shown("z"), ours.plan
    panels = (Panel("INSTRUCT → BASE", plan.values(sweep), faint=sweep.within_noise),)
    limit = colour_limit(panels)
    _, limit = stage.steady(f"post outputs, {plan.unit}", (-limit, limit), settled=sweep.complete)
    title = "One head's output from INSTRUCT, put into BASE"
    chosen = next(iter(top_heads(ours.of_prompt(), ours.own)), None)
    fig = head_heatmaps(panels, title, plan.unit, limit=limit, chosen=chosen, fills=True, size=stage.size())
    figure(fig, "post_outputs", f"{_CLICK} {grey(sweep)}", definitions.PATCHING, sweep.to_frame(), heads="head")


def _colon(ours: Ours) -> None:
    found = ours.attention.result
    if "colon" not in found.roles:
        st.info("This prompt has no “:” to look at.")
        return
    panels = model_panels(found.at("colon"))
    chosen = next(iter(top_heads(ours.of_prompt(), ours.own)[1:]), None)
    fig = head_heatmaps(panels, "A(:→END) of every head", theme.ATTENTION, chosen=chosen, size=stage.size())
    figure(fig, "post_colon", _CLICK, definitions.ATTENTION, partial(map_table, found, "colon", "weight"), heads="head")


def _values(ours: Ours) -> None:
    z, v, value_only = (ours.shown(site) for site in ("z", "v", "value_only"))
    both = values.scatters(ours.plan, z, v, value_only, None, stage.size())
    shown = state.view("against")
    if not stage.on():
        hidden = {"label_visibility": "collapsed"}
        shown = choice(st.segmented_control, "Values against outputs", "against", _AGAINST, required=True, **hidden)
    key, fig, table, read = both[list(_AGAINST).index(shown)]
    figure(_low(fig), f"post_{key}", read, definitions.SCATTER, table, heads="head")


def _where(ours: Ours) -> None:
    found = ours.attention.result
    names = {"colon": "A(:→END)", "original": "A(original→END)"}
    changes = {name: found.layers(role) for role, name in names.items() if role in found.roles}
    if not changes:
        st.info("This prompt has neither “:” nor an original word to look at.")
        return
    fig = layer_difference_lines({name: change.mean_abs for name, change in changes.items()}, size=stage.size())
    read = "The mean over a layer's heads of how much the models differ."
    figure(fig, "post_where", read, definitions.ATTENTION_LAYERS, next(iter(changes.values())).to_frame())


def _origin(ours: Ours) -> None:
    changed, output, plan = ours.shown("w_head"), ours.shown("z"), ours.plan
    panels = origin_panels(changed, output, plan.in_logits)
    limit = colour_limit(panels)
    settled = changed.complete and output.complete
    _, limit = stage.steady(f"origin, {plan.unit}", (-limit, limit), settled=settled)
    chosen = next(iter(top_heads(ours.of_prompt(), ours.own)), None)
    title = "What a head's own changed weights move, and what its output moves"
    fig = head_heatmaps(panels, title, plan.unit, limit=limit, chosen=chosen, fills=True, size=stage.size())
    figure(fig, "post_origin", f"{_CLICK} {grey(changed)}", definitions.ORIGIN, changed.to_frame(), heads="head")


_FIGURES: dict[str, Callable[[Ours], None]] = {
    "prompt": _prompt,
    "layers": _layers,
    "heads": _heads,
    "outputs": _outputs,
    "colon": _colon,
    "values": _values,
    "where": _where,
    "origin": _origin,
}
