"""Figures of what a patch does directly, and of what it is held against: `core.patching.control_results`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part, at, on, side_by_side
from core.charts.labels import escape, with_unit
from core.head.control_results import HeadControls
from core.wording import signed

PARTS = {
    "direct": "direct",
    "direct_recomputed": "direct,<br>s recomputed",
    "indirect": "indirect",
    "total": "total",
}
_COLOURS = (theme.SERIES[0], theme.SERIES[0], theme.SERIES[2], theme.SERIES[3])
SHARE = "share of the gap"
HEIGHT = 300
_BAND = "rgba(128,134,145,0.30)"
_TOTAL = len(PARTS) - 1  # its place on the axis


def control_bars(
    controls: Sequence[HeadControls], names: Sequence[str], title: str, size: theme.SizeName = "normal"
) -> go.Figure:
    """A panel a direction, named by `names`: direct effects, indirect and total, all on one scale.

    Behind the total the range of the norm-matched null, its draws as ticks; around 0 the noise floor. Shares of the
    gap where every direction has scores, else logits.
    """
    type_ = theme.SIZES[size]
    in_logits = any(found.null.gap.reason for found in controls)
    unit = theme.LOGITS if in_logits else SHARE
    traces, shapes, ends = _legend(controls), [], [0.0]
    annotations = theme.headings(names, size)
    for panel, found in enumerate(controls):
        parts = [_shown(found, effect, in_logits) for effect in found.parts.values()]
        draws = [_shown(found, effect, in_logits) for effect in found.null.effect[0]]
        traces += [_bars(panel, parts, found, unit), _ticks(panel, draws, unit, type_)]
        shapes += [_band(panel, draws), *_floor(panel, abs(_shown(found, found.noise_floor, in_logits)))]
        annotations += _numbers(panel, parts, type_)
        ends += parts + draws
    low, high = min(ends), max(ends)
    room = 0.14 * (high - low) or 1.0
    x = {"tickvals": list(range(len(PARTS))), "ticktext": list(PARTS.values())}
    x |= {"range": [-0.6, len(PARTS) - 0.4], "showgrid": False, "zeroline": False}
    y = {"range": [low - room, high + room], **theme.ZERO, "zerolinewidth": 1.5}
    layout = side_by_side(len(controls), 0.04, x, y, shared=True)
    layout["yaxis"]["title"] = {"text": escape(unit)}
    layout |= {"shapes": shapes, "annotations": annotations, "barmode": "overlay"}
    bottom = 3.4 * type_.tick
    return theme.frame(traces, layout, title, HEIGHT * type_.scale, size, legend=True, headings=True, bottom=bottom)


def _shown(found: HeadControls, effect: float, in_logits: bool) -> float:
    return float(effect if in_logits else found.of_gap(effect))


def _bars(panel: int, parts: list[float], found: HeadControls, unit: str) -> Part:
    hover = [
        f"<b>{PARTS[name].replace('<br>', ' ')}</b><br>{with_unit(value, unit)}"
        + ("" if unit == theme.LOGITS else f"<br>{with_unit(effect, theme.LOGITS)}")
        for value, (name, effect) in zip(parts, found.parts.items())
    ]
    marker = {"color": _COLOURS, "opacity": [1, 0.55, 1, 1], "line": {"width": 0}}
    return {
        "type": "bar", "x": list(range(len(parts))), "y": parts, "width": 0.6, "text": hover, "textposition": "none",
        "hovertemplate": theme.SAID, "showlegend": False, "marker": marker, **on(panel),
    }  # fmt: skip


def _numbers(panel: int, parts: list[float], type_: theme.Size) -> list[Part]:
    """Each bar's number, at its end."""
    font = {"size": type_.tick}
    return [
        {"x": n, "y": value, "text": signed(value), "showarrow": False, "font": font, **at(panel)}
        | {"yanchor": "bottom" if value >= 0 else "top"}
        for n, value in enumerate(parts)
    ]


def _ticks(panel: int, draws: list[float], unit: str, type_: theme.Size) -> Part:
    hover = [f"<b>random change of the same size</b><br>draw {k}: {with_unit(v, unit)}" for k, v in enumerate(draws, 1)]
    marker = {"symbol": "line-ew-open", "size": 9 * type_.scale, "color": theme.MUTED, "line": {"width": 2}}
    return {
        "type": "scatter", "x": [_TOTAL + 0.42] * len(draws), "y": draws, "mode": "markers", "text": hover,
        "hovertemplate": theme.SAID, "showlegend": False, "marker": marker, **on(panel),
    }  # fmt: skip


def _band(panel: int, draws: list[float]) -> Part:
    """A little wider than the total's bar, behind it."""
    ends = {"x0": _TOTAL - 0.48, "x1": _TOTAL + 0.48, "y0": min(draws), "y1": max(draws)}
    return {"type": "rect", **ends, **at(panel), "fillcolor": _BAND, "line": {"width": 0}, "layer": "below"}


def _floor(panel: int, floor: float) -> list[Part]:
    """Around zero, behind every bar; none where it has not been measured."""
    ends = {"x0": -0.6, "x1": len(PARTS) - 0.4, "y0": -floor, "y1": floor}
    band = {"type": "rect", **ends, **at(panel), "fillcolor": theme.FAINT, "opacity": 0.5, "layer": "below"}
    return [band | {"line": {"width": 0}}] if np.isfinite(floor) else []


def _legend(controls: Sequence[HeadControls]) -> list[Part]:
    """What is drawn behind the bars, in words that fit a narrow page."""
    draws = controls[0].null.logit_diff.shape[1]
    named = {f"{draws} random changes": _BAND, "noise floor": theme.FAINT}
    return [
        {"type": "bar", "x": [None], "y": [None], "name": name, "marker": {"color": colour}, **on(0)}
        for name, colour in named.items()
    ]
