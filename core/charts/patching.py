"""Figures of cross-model patching that are no map of heads: scatters, interactions, recovery, layer × position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part
from core.charts.grid import Cells, Panel, grid
from core.charts.labels import escape, token_labels, with_unit
from core.charts.placing import name_points
from core.charts.points import agreement_line, masked, points, remark, ring, square
from core.results import head_name
from core.wording import number, signed, visible

LABELLED = 6
JOINED = 24
NUMBERED = 12


def value_output_scatter(
    value: np.ndarray,
    output: np.ndarray,
    group_size: int,
    title: str,
    unit: str = theme.SCORE,
    value_name: str = "value patch",
    chosen: tuple[int, int] | None = None,
    size: theme.SizeName = "normal",
    faint: np.ndarray | None = None,
) -> go.Figure:
    """One point a query head: value patch against output patch; members of a KV group joined; a click selects the head.

    value, output: (layer, head), NaN where not yet computed. group_size: query heads that share a KV group.
    faint: (layer, head) bool, heads of which both patches are no more than noise: grey and never named. Of the others
    the points farthest from the origin are named; in a model of many groups only those of named points are joined.
    """
    type_ = theme.SIZES[size]
    height = 380 * type_.scale
    layers, heads = np.nonzero(np.isfinite(value) & np.isfinite(output))
    x, y = value[layers, heads], output[layers, heads]
    ends = square(x, y)
    grey = masked(faint, value.shape)[layers, heads]
    far = np.argsort(-np.hypot(x, y), kind="stable")
    far = far[~grey[far]][:LABELLED]
    named = [(int(layers[n]), int(heads[n])) for n in far]
    traces = _joined_groups(value, output, group_size, {*named, *([chosen] if chosen else [])})
    hover = [
        f"<b>{head_name(int(layer), int(head))}</b><br>{escape(value_name)}: {with_unit(a, unit)}<br>"
        f"output patch: {with_unit(b, unit)}{remark(noise)}"
        for layer, head, a, b, noise in zip(layers, heads, x, y, grey)
    ]
    traces.append(points(x, y, hover, type_, np.stack([layers, heads], -1).tolist(), grey))
    traces += ring(value, output, chosen, type_)
    names = [(float(x[n]), float(y[n]), head_name(*cell)) for n, cell in zip(far, named)]
    marks, extents = list(zip(x.tolist(), y.tolist())), (ends[1] - ends[0],) * 2
    layout = _scatter_layout(ends, f"{value_name}, {unit}", f"output patch, {unit}")
    layout["annotations"] = name_points(names, extents, height, type_, marks=marks, origin=(ends[0], ends[0]))
    return theme.frame(traces, layout, title, height, size)


def _scatter_layout(ends: list[float], x: str, y: str) -> Part:
    """Both axes alike, titled x and y; a click selects a point."""
    layout = agreement_line(ends)
    layout["xaxis"]["title"], layout["yaxis"]["title"] = ({"text": escape(title)} for title in (x, y))
    return {**layout, "clickmode": "event+select"}


def _joined_groups(value: np.ndarray, output: np.ndarray, group_size: int, named: set[tuple[int, int]]) -> list[Part]:
    """A line through the members of each group, in the order of their heads."""
    if group_size < 2:
        return []
    keys = [(layer, group) for layer in range(value.shape[0]) for group in range(value.shape[1] // group_size)]
    if len(keys) > JOINED:
        keys = sorted({(layer, head // group_size) for layer, head in named})
    x: list[float | None] = []
    y: list[float | None] = []
    for layer, group in keys:
        for ends, source in ((x, value), (y, output)):
            members = source[layer, group * group_size : (group + 1) * group_size]
            ends += [None if np.isnan(v) else float(v) for v in members] + [None]
    line = {"color": theme.LINE, "width": 1}
    return [
        {"type": "scatter", "x": x, "y": y, "mode": "lines", "line": line, "hoverinfo": "skip", "showlegend": False}
    ]


def pair_matrix(
    interaction: np.ndarray,
    names: Sequence[str],
    title: str = "Interaction of pairs",
    unit: str = theme.SCORE,
    size: theme.SizeName = "normal",
    faint: np.ndarray | None = None,
) -> go.Figure:
    """S(a, b) − S(a) − S(b) for every pair; green: together more than the sum, purple: they overlap.

    faint: (head, head) bool, interactions that are no more than noise, shown grey.
    """
    type_ = theme.SIZES[size]
    count = len(names)
    height = 34 * type_.scale
    shown = np.where(np.eye(count, dtype=bool), 0.0, interaction)
    labels = [[f"{a} with {b}" if a != b else a for b in names] for a in names]
    panels = (Panel("interaction", shown, faint),)
    ticks = {"tickvals": list(range(count)), "ticktext": [escape(name) for name in names]}
    traces, layout = grid(panels, Cells(labels, height), unit, ticks, ticks, size=size)
    if count <= NUMBERED:
        traces[0] |= _numbers(np.where(masked(faint, shown.shape), np.nan, shown), type_)
    return theme.frame(traces, layout, title, count * height, size, legend=True)


def _numbers(values: np.ndarray, type_: theme.Size) -> Part:
    """Of a trace: each pair's number in its cell, in black or white as the cell's colour asks for."""
    texts = [["" if r == c or np.isnan(v) else number(v) for c, v in enumerate(row)] for r, row in enumerate(values)]
    return {"text": texts, "texttemplate": "%{text}", "textfont": {"size": type_.tick}}


def recovery_curve(
    values: np.ndarray,
    names: Sequence[str],
    title: str = "Greedy circuit: recovery",
    unit: str = theme.SCORE,
    total: float | None = None,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """What the first k members together move, k = 0, 1, …; `names` are the members in the order they were added.

    A click selects customdata [n], the one added last at that point.

    total: where the whole gap is moved, drawn as a line; 1 for scores.
    """
    type_ = theme.SIZES[size]
    steps = list(range(len(values) + 1))
    heights = [0.0, *map(float, values)]
    hover = ["<b>none</b>"] + [
        f"<b>{n}: + {escape(name)}</b><br>{with_unit(float(value), unit)}"
        for n, (name, value) in enumerate(zip(names, values), 1)
    ]
    curve = {
        "type": "scatter", "x": steps, "y": heights, "mode": "lines+markers", "text": hover,
        "hovertemplate": theme.SAID, "showlegend": False, "customdata": [[max(n - 1, 0)] for n in steps],
        "line": {"color": theme.SERIES[0], "width": 2.5}, "marker": {"size": 9 * type_.scale}, "cliponaxis": False,
    }  # fmt: skip
    ticks = ["none", *(f"+ {escape(name)}" for name in names)]
    crowded = len(steps) > 9
    layout = {
        "xaxis": {
            "title": {"text": "members patched together, in the order they were added"}, "tickvals": steps,
            "ticktext": ticks, "tickangle": -45 if crowded else 0, "range": [-0.3, max(steps) + 0.3],
        },
        "yaxis": {"title": {"text": escape(unit)}, **theme.ZERO, "rangemode": "tozero"},
    }  # fmt: skip
    if total is not None:
        said = {
            "text": "the whole gap", "x": 0, "xref": "paper", "xanchor": "left", "y": total, "yanchor": "top",
            "showarrow": False, "font": {"size": type_.tick},
        }  # fmt: skip
        layout |= {"shapes": [theme.level(total)], "annotations": [said]}
    bottom = theme.tick_row(ticks, size) if crowded else 0
    return theme.frame([curve], layout, title, 300 * type_.scale, size, bottom=bottom)


def layer_position_map(
    values: np.ndarray,
    tokens: Sequence[str],
    title: str,
    unit: str = theme.SCORE,
    roles: Mapping[str, int | None] | None = None,
    chosen: tuple[int, int] | None = None,
    size: theme.SizeName = "normal",
    faint: np.ndarray | None = None,
) -> go.Figure:
    """values: (layer, position); NaN where not yet computed. The x axis names the prompt's tokens, roles in bold.

    A click selects customdata [layer, position]; chosen likewise. faint: (layer, position) bool, cells that are no more
    than noise, shown grey.
    """
    type_ = theme.SIZES[size]
    layers = len(values)
    labels = token_labels(tokens)
    height = float(np.clip(380 / layers, 10, 30)) * type_.scale
    roles = roles or {}
    shown = [f"token {i + 1}: {visible(token)}{theme.role_of(i, roles)}" for i, token in enumerate(tokens)]
    names = [[f"layer {layer}, {place}" for place in shown] for layer in range(layers)]
    panels = (Panel("layer × position", values, faint),)
    x, named = theme.token_axis(labels, roles, size)
    y = {"title": {"text": "layer"}, "tick0": 0, "dtick": theme.step(layers, layers * height / (1.5 * type_.tick))}
    x["title"] = {"text": "token"}
    traces, layout = grid(panels, Cells(names, height), unit, x, y, chosen=chosen, size=size)
    bottom = theme.tick_row(named, size)
    return theme.frame(traces, layout, title, layers * height, size, legend=True, bottom=bottom)


def exact_vs_estimate(
    estimate: np.ndarray,
    exact: np.ndarray,
    names: Sequence[str],
    correlation: float,
    unit: str = theme.LOGITS,
    size: theme.SizeName = "normal",
    faint: np.ndarray | None = None,
) -> go.Figure:
    """One point a cell that has run: the first-order estimate against the exact effect; on the dotted line they agree.

    estimate, exact: of one shape, names in their order; where that is (layer, head) a click selects the head.
    faint: of the same shape, bool, cells whose exact effect is no more than noise.
    """
    type_ = theme.SIZES[size]
    ran = np.isfinite(exact) & np.isfinite(estimate)
    x, y = estimate[ran], exact[ran]
    grey = masked(faint, exact.shape)[ran]
    hover = [
        f"<b>{escape(name)}</b><br>estimate: {with_unit(a, unit)}<br>exact: {with_unit(b, unit)}{remark(noise)}"
        for name, a, b, noise in zip(np.asarray(names, object)[np.ravel(ran)], x, y, grey)
    ]
    trace = points(x, y, hover, type_, np.argwhere(ran).tolist(), grey)
    layout = _scatter_layout(square(x, y), f"estimate, {unit}", f"exact effect, {unit}")
    known = "not enough cells yet" if np.isnan(correlation) else f"rank correlation {signed(correlation)}"
    title = "Estimate against exact effect"
    return theme.frame([trace], layout, title, 320 * type_.scale, size, f"Spearman's {known}")
