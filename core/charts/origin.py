"""Figures of what fine-tuning changed against what is only carried: `core.patching.origin_results`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.grid import Panel
from core.charts.labels import escape, with_unit
from core.charts.placing import name_points
from core.charts.points import agreement_line, masked, points, remark, ring, square
from core.patching.results import Sweep
from core.wording import number

LABELLED = 7


def origin_panels(changed: Sweep, patched: Sweep, in_logits: bool) -> tuple[Panel, Panel, Panel]:
    """Weights | activations | activations − weights, for one scale; NaN where one of both has not run."""
    both = [sweep.effect if in_logits else sweep.score for sweep in (changed, patched)]
    with np.errstate(invalid="ignore"):
        noise = np.sqrt(changed.noise_floor**2 + patched.noise_floor**2)
        within = np.abs(patched.effect - changed.effect) <= noise
    return (
        Panel("own changed weights", both[0], faint=changed.within_noise),
        Panel("output", both[1], faint=patched.within_noise),
        Panel("output − weights", both[1] - both[0], faint=within),
    )


def origin_scatter(
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    title: str,
    axes: tuple[str, str],
    alike: bool,
    faint: np.ndarray | None = None,
    chosen: tuple[int, int] | None = None,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """One point a component; those that stand out are named.

    x, y, faint: of one shape, (layer, head) where a click selects the head; names in their order, axes: what each
    counts. alike: both count the same, and are equal on a dotted line; else what stands out lies far from what is
    usual, on either axis.
    """
    type_ = theme.SIZES[size]
    height = 380 * type_.scale
    ran = np.isfinite(x) & np.isfinite(y)
    across, up, grey = x[ran], y[ran], masked(faint, x.shape)[ran]
    labels = np.asarray(names, object)[np.ravel(ran)]
    if alike:
        ends = square(across, up)
        spans, layout = (ends, ends), agreement_line(ends)
    else:
        spans = ([0.0, 1.12 * max([*across.tolist(), 1e-9])], square(up, up))
        layout = {"xaxis": {"range": spans[0]}, "yaxis": {"range": spans[1], **theme.ZERO}}
    hover = [
        f"<b>{escape(name)}</b><br>{escape(axes[0])}: {number(float(a), alike)}<br>"
        f"{escape(axes[1])}: {number(float(b))}{remark(noise)}"
        for name, a, b, noise in zip(labels, across, up, grey)
    ]
    traces = [points(across, up, hover, type_, np.argwhere(ran).tolist(), grey)]
    if x.ndim == 2:
        traces += ring(x, y, chosen, type_)
    widths = (spans[0][1] - spans[0][0], spans[1][1] - spans[1][0])
    usual = 0.0 if alike or not len(across) else float(np.median(across))
    far = np.argsort(-np.hypot((across - usual) / widths[0], up / widths[1]), kind="stable")
    far = far[~grey[far]][:LABELLED]
    named = [(float(across[n]), float(up[n]), str(labels[n])) for n in far]
    marks = list(zip(across.tolist(), up.tolist()))
    begins = (spans[0][0], spans[1][0])
    layout["annotations"] = name_points(named, widths, height, type_, marks=marks, origin=begins)
    for name, counted in zip(("xaxis", "yaxis"), axes):
        layout[name]["title"] = {"text": escape(counted)}
    return theme.frame(traces, {**layout, "clickmode": "event+select"}, title, height, size)


def boundary_curves(
    curves: Mapping[str, np.ndarray],
    title: str,
    unit: str,
    total: float | None = None,
    size: theme.SizeName = "normal",
) -> go.Figure:
    """name → (boundary,), boundary L lying before layer L; NaN where it has not run.

    total: where the whole gap is moved, drawn as a line.
    """
    type_ = theme.SIZES[size]
    layers, traces = len(next(iter(curves.values()))), []
    colours = (theme.INSTRUCT, theme.BASE, theme.SERIES[0]) if len(curves) == 3 else (theme.INSTRUCT, theme.SERIES[3])
    for (name, values), colour in zip(curves.items(), colours):
        hover = [
            f"<b>boundary before layer {boundary}</b><br>{escape(name)}: {with_unit(float(value), unit)}"
            for boundary, value in enumerate(values)
        ]
        line = {
            "type": "scatter", "x": list(range(layers)), "y": [None if np.isnan(v) else float(v) for v in values],
            "name": escape(name), "mode": "lines+markers", "text": hover, "hovertemplate": theme.SAID,
            "line": {"color": colour, "width": 2.5}, "marker": {"size": 6 * type_.scale}, "cliponaxis": False,
        }  # fmt: skip
        traces.append(line)
    layout = {
        "xaxis": {
            "title": {"text": "boundary: before layer"}, "range": [-0.5, layers - 0.5], "tick0": 0,
            "dtick": theme.step(layers, 400 / (2.2 * type_.tick)), "zeroline": False,
        },
        "yaxis": {"title": {"text": escape(unit)}, **theme.ZERO},
        "shapes": [] if total is None else [theme.level(total)],
    }  # fmt: skip
    return theme.frame(traces, layout, title, 260 * type_.scale, size, legend=True)
