"""Figures of attention that are no map of heads: where the models differ by layer, and one head's attention by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.labels import escape, token_labels, with_unit

NAMED = 3


def layer_difference_lines(
    differences: Mapping[str, np.ndarray],
    title: str = "Where the models attend differently",
    unit: str = "mean |INSTRUCT − BASE|",
    size: theme.SizeName = "normal",
) -> go.Figure:
    """One line a role, name → (layer,) mean absolute difference over heads; the top layers of each are named."""
    type_ = theme.SIZES[size]
    fig = go.Figure()
    layers = len(next(iter(differences.values())))
    for (name, values), colour in zip(differences.items(), theme.SERIES):
        top = np.argsort(-values, kind="stable")[:NAMED]
        labels = [f"L{layer}" if layer in top and values[layer] > 0 else "" for layer in range(layers)]
        hover = [f"<b>{escape(name)}</b><br>layer {n}: {with_unit(float(v), '', signed=False)}" for n, v in enumerate(values)]
        fig.add_scatter(
            x=list(range(layers)), y=values.tolist(), name=escape(name), mode="lines+markers+text", text=labels,
            textposition="top center", textfont={"size": type_.tick}, customdata=hover,
            hovertemplate="%{customdata}<extra></extra>", line={"color": colour, "width": 2.5},
            marker={"size": 7 * type_.scale}, cliponaxis=False,
        )  # fmt: skip
    highest = max((float(v.max()) for v in differences.values()), default=0.0) or 1.0
    fig.update_xaxes(title_text="layer", range=[-0.4, layers - 0.6], tick0=0, showgrid=False, zeroline=False)
    fig.update_xaxes(dtick=theme.step(layers, 850 / (2.2 * type_.tick)))
    fig.update_yaxes(title_text=escape(unit), range=[0, 1.18 * highest], zeroline=True, zerolinecolor=theme.LINE)
    return theme.frame(fig, title, 260 * type_.scale, size, legend=True)


def attention_bars(
    values: np.ndarray,
    tokens: Sequence[str],
    title: str,
    unit: str = theme.ATTENTION,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """values: (model, position), BASE then INSTRUCT: what END reads from (or what is written by) each token."""
    type_ = theme.SIZES[size]
    count = values.shape[1]
    labels = token_labels(tokens)
    fig = go.Figure()
    for name, colour, row in zip(("BASE", "INSTRUCT"), (theme.BASE, theme.INSTRUCT), values):
        hover = [f"<b>{i}: {label}</b><br>{name}: {with_unit(float(v), unit)}" for i, (label, v) in enumerate(zip(labels, row))]
        fig.add_bar(
            x=list(range(count)), y=row.tolist(), name=name, text=hover, textposition="none",
            hovertemplate="%{text}<extra></extra>", marker={"color": colour, "line": {"width": 0}},
        )  # fmt: skip
    step = theme.step(count, 850 / (1.25 * type_.tick))
    ticks = list(range(0, count, step))
    fig.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05)
    fig.update_xaxes(tickvals=ticks, ticktext=[labels[i] for i in ticks], tickangle=-90, range=[-0.6, count - 0.4])
    fig.update_xaxes(showgrid=False, zeroline=False)
    fig.update_yaxes(title_text=unit, zeroline=True, zerolinecolor=theme.LINE)
    return theme.frame(fig, title, 220 * type_.scale, size, legend=True, bottom=theme.tick_row(labels, size))
