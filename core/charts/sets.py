"""Figures of a set of prompts: every prompt's logit differences, how they spread, and means with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.attribution import layer_span
from core.charts.axes import Part, axis, on, stacked
from core.charts.grid import Panel
from core.charts.heatmap import Columns, head_heatmaps
from core.charts.labels import escape, with_unit
from core.charts.points import agreement_line, masked, points, square
from core.patching.plan import unit as unit_of
from core.sets.averages import SitePatches
from core.sets.results import with_interval
from core.sets.statistics import Average
from core.wording import signed

HEIGHT = 205
BINS = 24
MODELS = ("BASE", "INSTRUCT")
_COLOURS = (theme.BASE, theme.INSTRUCT)
Ends = tuple[np.ndarray, ...]  # means, and both ends of their intervals
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
    for letter, model in (("x", 0), ("y", 1)):
        centre, low, high = (float(array[model]) for array in (mean.mean, mean.ci_low, mean.ci_high))
        ends[letter] = [centre]
        if np.isfinite(low):
            shown = {"type": "data", "symmetric": False, "array": [high - centre], "arrayminus": [centre - low]}
            ends[f"error_{letter}"] = shown | {"color": theme.SERIES[1], "thickness": 3, "width": 6}
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
    highest = 0
    for model, name in enumerate(MODELS):
        counts, _ = np.histogram(logit_diff[:, model], edges)
        highest = max(highest, int(counts.max()))
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
        # Of a few, Plotly's own ticks would be fractions of a prompt.
        "yaxis": {"title": {"text": "prompts"}, "zeroline": False, **({"dtick": 1} if highest <= 5 else {})},
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


def layer_means(attribution: Mapping[str, Average], size: theme.SizeName = "normal") -> go.Figure:
    """Mean direct logit attribution of every layer's attention and MLP, both models. attribution: of `SetAverages`."""
    rows = {name: _ends(attribution[of]) for name, of in {"attention": "attn", "MLP": "mlp"}.items()}
    embed = ", ".join(f"{model} {with_interval(attribution['embed'], m)}" for m, model in enumerate(MODELS))
    title = "Mean direct logit attribution by layer"
    return layer_intervals(rows, title, theme.LOGITS, MODELS, f"embedding: {embed}", size)


def site_means(
    patches: SitePatches,
    title: str,
    chosen: tuple[int, int] | None = None,
    notes: Sequence[Sequence[str]] | None = None,
) -> go.Figure:
    """Shares of the mean gap, logits where it carries none; a site of whole layers has bars in place of a map."""
    effect, ratio, kind = patches.effect, patches.ratio, unit_of(patches.site)
    in_logits = bool(np.isnan(ratio.value).all())
    counts = theme.LOGITS if in_logits else "share of the mean gap"
    if kind not in ("head", "group"):
        ends = (effect.mean, effect.ci_low, effect.ci_high) if in_logits else (ratio.value, ratio.ci_low, ratio.ci_high)
        return layer_intervals({patches.site: tuple(array.T for array in ends)}, title, counts)
    name = "mean effect" if in_logits else "mean effect / mean gap"
    panel = Panel(name, effect.mean if in_logits else ratio.value, pale=effect.spans_zero)
    columns: Columns = "head" if kind == "head" else "KV group"
    return head_heatmaps([panel], title, counts, chosen=chosen, columns=columns, notes=notes)


def _ends(found: Average) -> Ends:
    """Of both models."""
    return tuple(array[: len(MODELS)] for array in (found.mean, found.ci_low, found.ci_high))


def layer_intervals(
    rows: Mapping[str, Ends],
    title: str,
    unit: str,
    series: Sequence[str] = ("",),
    subtitle: str = "",
    size: theme.SizeName = "normal",
) -> go.Figure:
    """One row of bars for each entry of `rows`, name → value, low, high, each (series, layer), all on one scale: means
    with the lines of their intervals, pale where an interval holds 0."""
    type_ = theme.SIZES[size]
    every = np.concatenate([np.nan_to_num(array).ravel() for ends in rows.values() for array in ends])
    layers = next(iter(rows.values()))[0].shape[1]
    x = {"range": [-0.5, layers - 0.5], "dtick": theme.step(layers, 500 / (2.2 * type_.tick))}
    y = {"range": list(layer_span(every)), **theme.ZERO}
    layout: Part = stacked(len(rows), 0.06, {**x, "showgrid": False, "zeroline": False}, y)
    traces: list[Part] = []
    for n, (name, ends) in enumerate(rows.items()):
        traces += [
            _means_of_layers(n, name, label, s, [array[s] for array in ends], unit) for s, label in enumerate(series)
        ]
        layout[axis("y", n)]["title"] = {"text": escape(unit if len(rows) == 1 else f"{name}, {unit}")}
    layout[axis("x", len(rows) - 1)]["title"] = {"text": "layer"}
    legend = len(series) > 1
    if legend:
        # At no place: what is pale there would be pale in the legend, too.
        nowhere = {"type": "bar", "x": [None], "y": [None], **on(0)}
        traces += [{**nowhere, "name": name, "marker": {"color": _COLOURS[s]}} for s, name in enumerate(series)]
    height = (HEIGHT if len(rows) == 1 else 120 * len(rows)) * type_.scale
    layout |= {"barmode": "group", "bargap": 0.2 if layers >= 12 else 0.75 - 0.045 * layers}
    return theme.frame(
        traces, layout, title, theme.plot_height(height, size, legend=legend), size, subtitle, legend=legend
    )


def _means_of_layers(n: int, name: str, label: str, s: int, ends: Sequence[np.ndarray], unit: str) -> Part:
    """The bars of one series in row n."""
    value, low, high = ends
    sure = (low > 0) | (high < 0)
    lines = {"array": np.nan_to_num(high - value).tolist(), "arrayminus": np.nan_to_num(value - low).tolist()}
    of = f"{label}: " if label else ""
    text = [
        f"<b>layer {layer}, {escape(name)}</b><br>{of}{signed(v)} [{signed(a)}, {signed(b)}] {escape(unit)}"
        for layer, (v, a, b) in enumerate(zip(value, low, high))
    ]
    colour = _COLOURS[s] if label else theme.SERIES[0]
    return {
        "type": "bar", "x": list(range(len(value))), "y": value.tolist(), "text": text, "textposition": "none",
        "hovertemplate": theme.SAID, "showlegend": False, **on(n),
        "marker": {"color": colour, "opacity": np.where(sure, 1.0, 0.35).tolist(), "line": {"width": 0}},
        "error_y": {"type": "data", "symmetric": False, "color": theme.MUTED, "thickness": 1.5, "width": 3} | lines,
    }  # fmt: skip
