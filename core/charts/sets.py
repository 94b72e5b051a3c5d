"""Figures of a set of prompts: every prompt's logit differences, how they spread, and means with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part
from core.charts.labels import escape, with_unit
from core.charts.points import agreement_line, masked, points, square
from core.sets.results import with_interval
from core.sets.statistics import Average
from core.wording import signed

HEIGHT = 205
BINS = 24
MODELS = ("BASE", "INSTRUCT")
_COLOURS = (theme.BASE, theme.INSTRUCT)
_WIDE = 30  # characters of a line beside a bar
_ROW = 22  # px of a bar's row


def set_scatter(
    logit_diff: np.ndarray,
    names: Sequence[str],
    mean: Average | None,
    title: str = "Every prompt: BASE against INSTRUCT",
    size: theme.SizeName = "normal",
) -> go.Figure:
    """logit_diff: (prompt, model); names: each prompt in words; mean: (model, …), drawn as a cross of its intervals.

    Above the dotted line INSTRUCT prefers the replacement more than BASE does. A click selects customdata [prompt].
    """
    type_ = theme.SIZES[size]
    base, instruct = logit_diff.T
    hover = [
        f"<b>{escape(name)}</b><br>BASE: {with_unit(b, theme.LOGITS)}<br>INSTRUCT: {with_unit(i, theme.LOGITS)}"
        for name, b, i in zip(names, base.tolist(), instruct.tolist())
    ]
    numbered = [[n] for n in range(len(base))]
    traces = [points(base, instruct, hover, type_, numbered, masked(None, base.shape))]
    if mean is not None:
        traces.append(_cross(mean, type_))
    layout = agreement_line(square(base, instruct))
    for name, model in zip(("xaxis", "yaxis"), MODELS):
        layout[name]["title"] = {"text": f"{model}, {theme.LOGITS}"}
    height = theme.plot_height(HEIGHT * type_.scale, size)
    return theme.frame(traces, {**layout, "clickmode": "event+select"}, title, height, size)


def _cross(mean: Average, type_: theme.Size) -> Part:
    """Of both means with their intervals."""
    ends: Part = {}
    for axis, model in (("x", 0), ("y", 1)):
        centre, low, high = (float(array[model]) for array in (mean.mean, mean.ci_low, mean.ci_high))
        ends[axis] = [centre]
        if np.isfinite(low):
            shown = {"type": "data", "symmetric": False, "array": [high - centre], "arrayminus": [centre - low]}
            ends[f"error_{axis}"] = shown | {"color": theme.SERIES[1], "thickness": 3, "width": 6}
    text = [f"<b>mean of {mean.n} prompts</b><br>" + "<br>".join(_means(mean))]
    marker = {"symbol": "cross", "size": 11 * type_.scale, "color": theme.SERIES[1]}
    return {
        "type": "scatter", **ends, "mode": "markers", "text": text, "hovertemplate": theme.SAID, "showlegend": False,
        "marker": marker, "selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}},
    }  # fmt: skip


def _means(found: Average) -> list[str]:
    return [f"{model}: {with_interval(found, m)} {theme.LOGITS}" for m, model in enumerate(MODELS)]


def set_spread(
    logit_diff: np.ndarray, title: str = "How the prompts spread", size: theme.SizeName = "normal"
) -> go.Figure:
    """logit_diff: (prompt, model): how many prompts lie where, both models on one axis, their means as lines."""
    type_ = theme.SIZES[size]
    low, high = float(logit_diff.min()), float(logit_diff.max())
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    traces: list[Part] = []
    for model, name in enumerate(MODELS):
        counts, _ = np.histogram(logit_diff[:, model], edges)
        text = [
            f"<b>{name}</b><br>{signed(a)} to {signed(b)}: {_prompts(int(count))}"
            for a, b, count in zip(edges, edges[1:], counts)
        ]
        bars = {"type": "bar", "x": ((edges[:-1] + edges[1:]) / 2).tolist(), "y": counts.tolist(), "name": name}
        bars |= {"text": text, "textposition": "none", "hovertemplate": theme.SAID, "width": float(edges[1] - edges[0])}
        traces.append({**bars, "marker": {"color": _COLOURS[model], "opacity": 0.65, "line": {"width": 0}}})
    means = [
        {"type": "line", "x0": float(m), "x1": float(m), "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
        | {"line": {"color": colour, "width": 2, "dash": "dash"}}
        for m, colour in zip(logit_diff.mean(0), _COLOURS)
    ]
    layout = {
        "xaxis": {"title": {"text": f"logit difference, {theme.LOGITS}"}, **theme.ZERO},
        "yaxis": {"title": {"text": "prompts"}, "zeroline": False},
        "barmode": "overlay", "bargap": 0, "shapes": means,
    }  # fmt: skip
    # As high as the scatter that it stands beside.
    height = theme.plot_height(HEIGHT * type_.scale, size)
    return theme.frame(traces, layout, title, height, size, legend=True)


def _prompts(count: int) -> str:
    return f"{count} prompt{'' if count == 1 else 's'}"


def interval_bars(
    rows: Mapping[str, Average],
    title: str,
    unit: str = theme.LOGITS,
    models: Sequence[str] = MODELS,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """One row a name, a bar a model with its 95% interval; each Average has the axis (model, …), more models than are
    named being left out."""
    type_ = theme.SIZES[size]
    labels = ["<br>".join(map(escape, wrap(name, _WIDE))) + f"<br>n = {found.n}" for name, found in rows.items()]
    traces: list[Part] = []
    for model, name in enumerate(models):
        means = [float(found.mean[model]) for found in rows.values()]
        ends = [(found.ci_high[model], found.ci_low[model]) for found in rows.values()]
        errors = {"type": "data", "symmetric": False, "color": theme.MUTED, "thickness": 1.5, "width": 4}
        errors["array"] = [float(high - mean) if np.isfinite(high) else 0.0 for mean, (high, _) in zip(means, ends)]
        errors["arrayminus"] = [float(mean - low) if np.isfinite(low) else 0.0 for mean, (_, low) in zip(means, ends)]
        text = [
            f"<b>{escape(label)}</b><br>{name}: {with_interval(found, model)} {escape(unit)}<br>n = {found.n}"
            for label, found in rows.items()
        ]
        traces.append(
            {"type": "bar", "orientation": "h", "y": list(range(len(rows))), "x": means, "error_x": errors,
             "name": name, "text": text, "textposition": "none", "hovertemplate": theme.SAID,
             "marker": {"color": (*_COLOURS, *theme.SERIES)[model], "line": {"width": 0}}}
        )  # fmt: skip
    y = {"tickvals": list(range(len(rows))), "ticktext": labels, "range": [len(rows) - 0.5, -0.5]}
    layout = {
        "yaxis": {**y, "showgrid": False, "zeroline": False},
        "xaxis": {"title": {"text": escape(unit)}, **theme.ZERO},
        "barmode": "group", "bargap": 0.3,
    }  # fmt: skip
    lines = max(1 + label.count("<br>") for label in labels)
    wanted = len(rows) * max(_ROW * len(models), 1.35 * type_.tick * lines) * type_.scale
    return theme.frame(traces, layout, title, theme.plot_height(wanted, size, legend=True), size, legend=True)


def layer_intervals(
    value: np.ndarray, low: np.ndarray, high: np.ndarray, title: str, unit: str, size: theme.SizeName = "normal"
) -> go.Figure:
    """value, low, high: (layer,) means and the ends of their intervals; pale where an interval holds 0."""
    type_ = theme.SIZES[size]
    sure = (low > 0) | (high < 0)
    ends = {"array": np.nan_to_num(high - value).tolist(), "arrayminus": np.nan_to_num(value - low).tolist()}
    text = [
        f"<b>layer {n}</b><br>{signed(v)} [{signed(a)}, {signed(b)}] {escape(unit)}"
        for n, (v, a, b) in enumerate(zip(value, low, high))
    ]
    marker = {"color": theme.SERIES[0], "opacity": np.where(sure, 1.0, 0.35).tolist(), "line": {"width": 0}}
    bars = {
        "type": "bar", "x": list(range(len(value))), "y": value.tolist(), "text": text, "textposition": "none",
        "hovertemplate": theme.SAID, "marker": marker, "showlegend": False,
        "error_y": {"type": "data", "symmetric": False, "color": theme.MUTED, "thickness": 1.5, "width": 3} | ends,
    }  # fmt: skip
    every = theme.step(len(value), 500 / (2.2 * type_.tick))
    layout = {
        "xaxis": {"title": {"text": "layer"}, "dtick": every, "showgrid": False, "zeroline": False},
        "yaxis": {"title": {"text": escape(unit)}, **theme.ZERO},
    }
    return theme.frame([bars], layout, title, theme.plot_height(HEIGHT * type_.scale, size), size)
