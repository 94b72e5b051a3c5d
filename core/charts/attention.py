"""Figures of attention that are no map of heads: where the models differ by layer, one head's attention by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part
from core.charts.labels import escape, token_labels, with_unit
from core.charts.placing import name_points
from core.wording import number

NAMED = 3
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
HEIGHT = 260
# Above the highest point, for its name.
ROOM = 1.2


def layer_difference_lines(
    differences: Mapping[str, np.ndarray],
    title: str = "Where the models attend differently",
    unit: str = "mean |INSTRUCT − BASE|",
    size: theme.SizeName = "normal",
) -> go.Figure:
    """One line a role, name → (layer,) mean absolute difference over heads; the top layers of each are named."""
    type_ = theme.SIZES[size]
    layers, traces = len(next(iter(differences.values()))), []
    for (name, values), colour, symbol in zip(differences.items(), theme.SERIES, SYMBOLS):
        hover = [f"<b>{escape(name)}</b><br>layer {n}: {number(float(v), plus=False)}" for n, v in enumerate(values)]
        line = {
            "type": "scatter", "x": list(range(layers)), "y": values.tolist(), "name": escape(name),
            "mode": "lines+markers", "customdata": [[layer] for layer in range(layers)], "text": hover,
            "hovertemplate": theme.SAID, "line": {"color": colour, "width": 2.5},
            "marker": {"size": 8 * type_.scale, "symbol": symbol}, "cliponaxis": False,
        }  # fmt: skip
        traces.append(line)
    highest = max((float(v.max()) for v in differences.values()), default=0.0) or 1.0
    layout = {
        "xaxis": {
            "title": {"text": "layer"}, "range": [-0.4, layers - 0.6], "tick0": 0,
            "dtick": theme.step(layers, type_.width / (2.2 * type_.tick)), "showgrid": False, "zeroline": False,
        },
        "yaxis": {"title": {"text": escape(unit)}, "range": [0, ROOM * highest], **theme.ZERO},
        "annotations": _named_top(differences, layers, highest, type_),
    }  # fmt: skip
    return theme.frame(traces, layout, title, HEIGHT * type_.scale, size, legend=True)


def _named_top(differences: Mapping[str, np.ndarray], layers: int, highest: float, type_: theme.Size) -> list[Part]:
    """The layers where each role differs most; in the page's own colour, for a line's is too faint for letters."""
    found = [
        (float(values[layer]), int(layer))
        for values in differences.values()
        for layer in np.argsort(-np.nan_to_num(values), kind="stable")[:NAMED]
        if values[layer] > 0
    ]
    found.sort(reverse=True)
    points = [(layer, value, f"L{layer}") for value, layer in found]
    return name_points(points, (layers, ROOM * highest), HEIGHT * type_.scale, type_, width=type_.width)


def attention_span(values: np.ndarray) -> theme.Span:
    """What the axis of values must hold: every bar, and zero."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = 0.05 * (high - low)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else float(low == 0))


def attention_bars(
    values: np.ndarray,
    tokens: Sequence[str],
    title: str,
    unit: str = theme.ATTENTION,
    roles: Mapping[str, int | None] | None = None,
    size: theme.SizeName = "normal",
    span: theme.Span | None = None,
) -> go.Figure:
    """values: (model, position), BASE then INSTRUCT: what END reads from (or what is written by) each token.

    roles: name → position, their tokens in bold. span: of the axis of values. A click selects customdata [position].
    """
    type_ = theme.SIZES[size]
    count, roles = values.shape[1], roles or {}
    labels = token_labels(tokens)
    signed = bool((values < 0).any())
    hover = [
        _token_hover(i, label, values[:, i], unit, signed, theme.role_of(i, roles)) for i, label in enumerate(labels)
    ]
    clicked = {"marker": {"opacity": 1}}
    common = {
        "type": "bar", "x": list(range(count)), "customdata": [[i] for i in range(count)], "text": hover,
        "textposition": "none", "hovertemplate": theme.SAID, "selected": clicked, "unselected": clicked,
    }  # fmt: skip
    traces = [
        {**common, "y": row.tolist(), "name": name, "marker": {"color": colour, "line": {"width": 0}}}
        for name, colour, row in zip(("BASE", "INSTRUCT"), (theme.BASE, theme.INSTRUCT), values)
    ]
    x, named = theme.token_axis(labels, roles, size)
    layout = {
        "xaxis": {**x, "range": [-0.6, count - 0.4], "showgrid": False, "zeroline": False},
        "yaxis": {"title": {"text": escape(unit)}, "range": list(span or attention_span(values)), **theme.ZERO},
        "barmode": "group", "bargap": 0.25, "bargroupgap": 0.05, "clickmode": "event+select",
    }  # fmt: skip
    bottom = theme.tick_row(named, size, title=False)
    return theme.frame(traces, layout, title, 180 * type_.scale, size, legend=True, bottom=bottom)


def _token_hover(position: int, label: str, values: np.ndarray, unit: str, signed: bool, role: str) -> str:
    base, instruct = map(float, values)
    return (
        f"<b>token {position + 1}: {label}</b>{role}<br>BASE: {with_unit(base, unit, signed)}<br>"
        f"INSTRUCT: {with_unit(instruct, unit, signed)}<br>INSTRUCT − BASE: {number(instruct - base)}"
    )
