"""The layer attribution plot: what attention and MLP of every layer add to the logit difference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part, at, axis, on, stacked
from core.charts.grid import FAINT_TEXT
from core.charts.labels import escape, with_unit
from core.results import Attribution
from core.wording import number


def layer_attribution(
    attribution: Attribution, size: theme.SizeName = "normal", span: theme.Span | None = None
) -> go.Figure:
    """Attention above, MLP below, BASE and INSTRUCT side by side; both rows on one scale, in logits."""
    rows = {"attention": attribution.attn, "MLP": attribution.mlp}
    return layer_bars(rows, "Direct logit attribution by layer", theme.LOGITS, _rest(attribution), size, span=span)


def layer_bars(
    rows: dict[str, np.ndarray],
    title: str,
    unit: str,
    subtitle: str = "",
    size: theme.SizeName = "normal",
    series: tuple[str, ...] = ("BASE", "INSTRUCT"),
    faint: np.ndarray | None = None,
    span: theme.Span | None = None,
) -> go.Figure:
    """One row of bars for each entry of `rows`, name → (series, layer), all on one scale; customdata is [layer, row].

    series: what the first axis of each entry counts, one or two names; NaN is a layer not yet computed.
    faint: (layer,) bool, layers whose bars of the first series are no more than noise: grey and not named.
    span: of the axes of values, by default what the bars need.
    """
    type_ = theme.SIZES[size]
    layers = next(iter(rows.values())).shape[1]
    noise = np.zeros(layers, bool) if faint is None else np.asarray(faint, bool)
    # A few layers on a wide page: bars, not walls.
    layout: Part = {"barmode": "group", "bargap": 0.2 if layers >= 12 else 0.75 - 0.045 * layers, "bargroupgap": 0.05}
    x = {"range": [-0.5, layers - 0.5], "tick0": 0, "dtick": theme.step(layers, type_.width / (2.2 * type_.tick))}
    y = {"range": list(span or layer_span(*rows.values())), **theme.ZERO, "zerolinewidth": 1.5}
    layout |= stacked(len(rows), 0.06, {**x, "showgrid": False, "zeroline": False}, y)
    traces: list[Part] = []
    names: list[Part] = []
    for n, (name, values) in enumerate(rows.items()):
        traces += _row(n, name, values, series, unit, noise)
        names += _largest(np.where(noise, np.nan, values), n, type_)
        # On a stage a row is lower than its unit is long.
        layout[axis("y", n)]["title"] = {"text": escape(f"{name}, {unit}" if unit and type_.height is None else name)}
    layout[axis("x", len(rows) - 1)]["title"] = {"text": "layer"}
    if noise.any():
        grey = {"type": "bar", "x": [None], "y": [None], "name": FAINT_TEXT, "marker": {"color": theme.FAINT}}
        traces.append({**grey, **on(0)})
    title = f"{title}, {unit}" if unit and type_.height is not None else title
    height = (190 if len(rows) == 1 else 120 * len(rows)) * type_.scale
    legend = len(series) > 1 or bool(noise.any())
    return theme.frame(traces, {**layout, "annotations": names}, title, height, size, subtitle, legend)


def _row(
    n: int, name: str, values: np.ndarray, series: tuple[str, ...], unit: str, noise: np.ndarray
) -> Iterator[Part]:
    """The bars of one row, a trace a series."""
    layers = values.shape[1]
    colours = (theme.BASE, theme.INSTRUCT) if series == ("BASE", "INSTRUCT") else theme.SERIES
    hover = [_hover(name, layer, values[:, layer], series, unit) for layer in range(layers)]
    hover = [f"{text}<br>{FAINT_TEXT}" if grey else text for text, grey in zip(hover, noise)]
    for s, (label, colour, row) in enumerate(zip(series, colours, values)):
        fill = [theme.FAINT if grey and s == 0 else colour for grey in noise] if noise.any() else colour
        yield {
            "type": "bar", "x": list(range(layers)), "y": [None if np.isnan(v) else float(v) for v in row],
            "customdata": [[layer, n] for layer in range(layers)], "text": hover, "textposition": "none",
            "hovertemplate": theme.SAID, "marker": {"color": fill, "line": {"width": 0}},
            "name": escape(label), "legendgroup": escape(label), "showlegend": n == 0, **on(n),
        }  # fmt: skip


def _rest(attribution: Attribution) -> str:
    """What no layer adds, and what everything sums to."""
    parts = [f"embed {_pair(attribution.embed)}"]
    if np.any(attribution.bias):
        parts.append(f"bias {_pair(attribution.bias)}")
    parts.append(f"sum of all {_pair(attribution.total)}")
    return "BASE | INSTRUCT:  " + "  ·  ".join(parts)


def _pair(values: np.ndarray) -> str:
    return " | ".join(number(float(value)) for value in values)


def _hover(name: str, layer: int, values: np.ndarray, series: tuple[str, ...], unit: str) -> str:
    lines = [f"<b>layer {layer}, {escape(name)}</b>"]
    lines += [f"{escape(label)}: {with_unit(float(value), unit)}" for label, value in zip(series, values)]
    if len(series) == 2:
        lines.append(f"{escape(series[1])} − {escape(series[0])}: {with_unit(float(values[1] - values[0]), unit)}")
    return "<br>".join(lines)


def _largest(values: np.ndarray, row: int, type_: theme.Size) -> list[Part]:
    """The layer with the longest bar, by name: on a wide axis its number is hard to read off."""
    finite = np.nan_to_num(values)
    model, layer = np.unravel_index(np.abs(finite).argmax(), values.shape)
    value = float(finite[model, layer])
    above = {"showarrow": False, "yanchor": "bottom" if value > 0 else "top", "font": {"size": type_.tick}}
    return [{"x": int(layer), "y": value, "text": f"L{layer}", **above, **at(row)}] if value else []


def layer_span(*rows: np.ndarray) -> theme.Span:
    """What the axes of values must hold: every bar of these (series, layer), zero, and a name beyond the longest."""
    everything = np.nan_to_num(np.concatenate([row.ravel() for row in rows]))
    low, high = min(everything.min(), 0.0), max(everything.max(), 0.0)
    room = 0.14 * (high - low) or 1.0
    return float(low - room), float(high + room)
