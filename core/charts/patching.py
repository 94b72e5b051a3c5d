"""Figures of cross-model patching that are no map of heads: scatters, interactions, recovery, layer × position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.grid import Cells, Panel, grid, has_legend
from core.charts.labels import escape, token_labels, visible, with_unit
from core.results import head_name

LABELLED = 6


def value_output_scatter(
    value: np.ndarray,
    output: np.ndarray,
    group_size: int,
    title: str,
    unit: str = theme.SCORE,
    value_name: str = "value patch",
    chosen: tuple[int, int] | None = None,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """One point a query head: value patch against output patch; members of a KV group joined; a click selects the head.

    value, output: (layer, head), NaN where not yet computed. group_size: query heads that share a KV group.
    """
    type_ = theme.SIZES[size]
    fig = go.Figure()
    ends = _square(value, output)
    fig.add_shape(type="line", x0=ends[0], x1=ends[1], y0=ends[0], y1=ends[1], line={"color": theme.LINE, "dash": "dot"})
    _join_groups(fig, value, output, group_size)
    layers, heads = np.nonzero(np.isfinite(value) & np.isfinite(output))
    x, y = value[layers, heads], output[layers, heads]
    hover = [
        f"<b>{head_name(layer, head)}</b><br>{escape(value_name)}: {with_unit(a, unit)}<br>output patch: {with_unit(b, unit)}"
        for layer, head, a, b in zip(layers, heads, x, y)
    ]
    fig.add_scatter(
        x=x.tolist(), y=y.tolist(), mode="markers", customdata=np.stack([layers, heads], -1).tolist(), text=hover,
        hovertemplate="%{text}<extra></extra>", showlegend=False,
        marker={"size": 8 * type_.scale, "color": theme.BASE, "opacity": 0.85, "line": {"width": 0}},
        selected={"marker": {"opacity": 0.85}}, unselected={"marker": {"opacity": 0.85}},
    )  # fmt: skip
    _label_points(fig, layers, heads, x, y, chosen, type_)
    fig.update_xaxes(title_text=f"{escape(value_name)}, {unit}", range=ends, zeroline=True, zerolinecolor=theme.LINE)
    fig.update_yaxes(title_text=f"output patch, {unit}", range=ends, zeroline=True, zerolinecolor=theme.LINE)
    fig.update_layout(clickmode="event+select")
    return theme.frame(fig, title, 380 * type_.scale, size)


def _square(x: np.ndarray, y: np.ndarray) -> list[float]:
    finite = np.concatenate([v[np.isfinite(v)].ravel() for v in (x, y)] + [np.zeros(1)])
    low, high = float(finite.min()), float(finite.max())
    room = 0.08 * (high - low) or 1.0
    return [low - room, high + room]


def _join_groups(fig: go.Figure, value: np.ndarray, output: np.ndarray, group_size: int) -> None:
    if group_size < 2:
        return
    gap = np.full((value.size // group_size, 1), np.nan)
    x, y = (np.hstack([v.reshape(-1, group_size), gap]).ravel() for v in (value, output))
    fig.add_scatter(
        x=[None if np.isnan(v) else float(v) for v in x], y=[None if np.isnan(v) else float(v) for v in y],
        mode="lines", line={"color": theme.LINE, "width": 1}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip


def _label_points(fig: go.Figure, layers, heads, x, y, chosen: tuple[int, int] | None, type_: theme.Size) -> None:
    """Name the points farthest from the origin, and the chosen one in its ring."""
    if not len(x):
        return
    far = np.argsort(-np.hypot(x, y), kind="stable")[:LABELLED]
    for n in far:
        fig.add_annotation(
            x=float(x[n]), y=float(y[n]), text=head_name(int(layers[n]), int(heads[n])), showarrow=False,
            xanchor="left", yanchor="bottom", xshift=3, yshift=2, font={"size": type_.tick},
        )  # fmt: skip
    for n in np.flatnonzero((layers == (chosen or (-1,))[0]) & (heads == (chosen or (-1, -1))[-1])):
        fig.add_scatter(
            x=[float(x[n])], y=[float(y[n])], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"symbol": "circle-open", "size": 16 * type_.scale, "color": theme.INSTRUCT, "line": {"width": 2.5}},
        )  # fmt: skip


def pair_matrix(
    interaction: np.ndarray,
    names: Sequence[str],
    title: str = "Interaction of pairs",
    unit: str = theme.SCORE,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """S(a, b) − S(a) − S(b) for every pair; green: together more than the sum, purple: they overlap."""
    type_ = theme.SIZES[size]
    count = len(names)
    height = 34 * type_.scale
    shown = np.where(np.eye(count, dtype=bool), 0.0, interaction)
    labels = [[f"{a} with {b}" if a != b else a for b in names] for a in names]
    panels = (Panel("interaction", shown),)
    fig = grid(panels, Cells(labels, height), unit, size=size)
    ticks = {"tickvals": list(range(count)), "ticktext": [escape(name) for name in names]}
    fig.update_xaxes(**ticks)
    fig.update_yaxes(**ticks)
    return theme.frame(fig, title, count * height, size, legend=has_legend(panels))


def recovery_curve(
    values: np.ndarray,
    names: Sequence[str],
    title: str = "Greedy circuit: recovery",
    unit: str = theme.SCORE,
    total: float | None = None,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """What the first k heads together move, k = 0, 1, …; `names` are the heads in the order they were added.

    total: where the whole gap is moved, drawn as a line; 1 for scores.
    """
    type_ = theme.SIZES[size]
    steps = list(range(len(values) + 1))
    heights = [0.0, *map(float, values)]
    hover = ["<b>no head</b>"] + [
        f"<b>{n}: + {escape(name)}</b><br>{with_unit(float(value), unit)}" for n, (name, value) in enumerate(zip(names, values), 1)
    ]
    fig = go.Figure()
    fig.add_scatter(
        x=steps, y=heights, mode="lines+markers", text=hover, hovertemplate="%{text}<extra></extra>", showlegend=False,
        line={"color": theme.INSTRUCT, "width": 2.5}, marker={"size": 9 * type_.scale},
    )  # fmt: skip
    if total is not None:
        fig.add_hline(y=total, line={"color": theme.LINE, "dash": "dot"})
    ticks = ["none", *(f"+ {escape(name)}" for name in names)]
    fig.update_xaxes(tickvals=steps, ticktext=ticks, range=[-0.3, max(steps) + 0.3], tickangle=-45 if len(steps) > 9 else 0)
    fig.update_xaxes(title_text="heads patched together, in the order they were added")
    fig.update_yaxes(title_text=unit, zeroline=True, zerolinecolor=theme.LINE, rangemode="tozero")
    bottom = theme.tick_row(ticks, size) if len(steps) > 9 else 0
    return theme.frame(fig, title, 300 * type_.scale, size, bottom=bottom)


def layer_position_map(
    values: np.ndarray,
    tokens: Sequence[str],
    title: str,
    unit: str = theme.SCORE,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """values: (layer, position); NaN where not yet computed. The x axis names the prompt's tokens."""
    type_ = theme.SIZES[size]
    layers, count = values.shape
    labels = token_labels(tokens)
    height = float(np.clip(380 / layers, 10, 30)) * type_.scale
    shown = [visible(token) for token in tokens]
    names = [[f"layer {layer}, position {i}: {token}" for i, token in enumerate(shown)] for layer in range(layers)]
    panels = (Panel("layer × position", values),)
    fig = grid(panels, Cells(names, height), unit, size=size)
    step = theme.step(count, 850 / (1.25 * type_.tick))
    ticks = list(range(0, count, step))
    fig.update_xaxes(tickvals=ticks, ticktext=[labels[i] for i in ticks], tickangle=-90, title_text="token")
    fig.update_yaxes(tick0=0, dtick=theme.step(layers, layers * height / (1.5 * type_.tick)), title_text="layer")
    bottom = theme.tick_row(labels, size)
    return theme.frame(fig, title, layers * height, size, legend=has_legend(panels), bottom=bottom)


def exact_vs_estimate(
    estimate: np.ndarray,
    exact: np.ndarray,
    names: Sequence[str],
    correlation: float,
    unit: str = theme.LOGITS,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """One point a cell that has run: the first-order estimate against the exact effect; on the dotted line they agree."""
    type_ = theme.SIZES[size]
    estimate, exact = np.ravel(estimate), np.ravel(exact)
    ran = np.isfinite(exact) & np.isfinite(estimate)
    ends = _square(estimate[ran], exact[ran])
    hover = [
        f"<b>{escape(name)}</b><br>estimate: {with_unit(a, unit)}<br>exact: {with_unit(b, unit)}"
        for name, a, b, there in zip(names, estimate, exact, ran)
        if there
    ]
    fig = go.Figure()
    fig.add_shape(type="line", x0=ends[0], x1=ends[1], y0=ends[0], y1=ends[1], line={"color": theme.LINE, "dash": "dot"})
    fig.add_scatter(
        x=estimate[ran].tolist(), y=exact[ran].tolist(), mode="markers", text=hover, showlegend=False,
        hovertemplate="%{text}<extra></extra>", marker={"size": 7 * type_.scale, "color": theme.BASE, "opacity": 0.8},
    )  # fmt: skip
    fig.update_xaxes(title_text=f"estimate, {unit}", range=ends, zeroline=True, zerolinecolor=theme.LINE)
    fig.update_yaxes(title_text=f"exact effect, {unit}", range=ends, zeroline=True, zerolinecolor=theme.LINE)
    known = "not enough cells yet" if np.isnan(correlation) else f"rank correlation {correlation:.2f}"
    return theme.frame(fig, "Estimate against exact effect", 320 * type_.scale, size, f"Spearman's {known}")
