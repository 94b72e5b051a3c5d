"""Figures of what a patch does directly, and of what it is held against: `core.patching.control_results`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.charts import theme
from core.charts.grid import FAINT_TEXT
from core.charts.labels import escape, with_unit
from core.head.control_results import HeadControls
from core.wording import brief, signed

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
_WIDE = 0.6  # of a bar; a band is a little wider


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
    fig = make_subplots(1, len(controls), shared_yaxes=True, horizontal_spacing=0.04)
    ends = [0.0]
    for n, found in enumerate(controls, 1):
        parts = {name: _shown(found, effect, in_logits) for name, effect in found.parts.items()}
        draws = [_shown(found, effect, in_logits) for effect in found.null.effect[0]]
        _draw_null(fig, n, draws, found, unit, type_)
        _draw_floor(fig, n, abs(_shown(found, found.noise_floor, in_logits)))
        _draw_parts(fig, n, parts, found, unit, type_)
        ends += [*parts.values(), *draws]
    _legend(fig, controls)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 0.14 * (high - low) or 1.0
    fig.update_xaxes(tickvals=list(range(len(PARTS))), ticktext=list(PARTS.values()), tickangle=0, showgrid=False)
    fig.update_xaxes(range=[-0.6, len(PARTS) - 0.4], zeroline=False)
    fig.update_yaxes(range=[low - room, high + room], zeroline=True, zerolinewidth=1.5, zerolinecolor=theme.LINE)
    fig.update_yaxes(title_text=escape(unit), col=1)
    theme.headings(fig, list(names), size)
    bottom = 3.4 * type_.tick
    return theme.frame(fig, title, HEIGHT * type_.scale, size, legend=True, headings=True, bottom=bottom)


def _shown(found: HeadControls, effect: float, in_logits: bool) -> float:
    return float(effect if in_logits else found.of_gap(effect))


def _draw_parts(
    fig: go.Figure, n: int, parts: dict[str, float], found: HeadControls, unit: str, type_: theme.Size
) -> None:
    hover = [
        f"<b>{PARTS[name].replace('<br>', ' ')}</b><br>{with_unit(value, unit)}"
        + ("" if unit == theme.LOGITS else f"<br>{with_unit(found.parts[name], theme.LOGITS)}")
        for name, value in parts.items()
    ]
    fig.add_bar(
        x=list(range(len(parts))), y=list(parts.values()), width=_WIDE, text=hover, textposition="none",
        hovertemplate="%{text}<extra></extra>", showlegend=False, row=1, col=n,
        marker={"color": _COLOURS, "opacity": [1, 0.55, 1, 1], "line": {"width": 0}},
    )  # fmt: skip
    for at, value in enumerate(parts.values()):
        fig.add_annotation(
            x=at, y=value, text=signed(value), showarrow=False, yanchor="bottom" if value >= 0 else "top",
            font={"size": type_.tick}, row=1, col=n,
        )  # fmt: skip


def _draw_null(fig: go.Figure, n: int, draws: list[float], found: HeadControls, unit: str, type_: theme.Size) -> None:
    at = len(PARTS) - 1
    fig.add_shape(
        type="rect", x0=at - 0.48, x1=at + 0.48, y0=min(draws), y1=max(draws), fillcolor=_BAND, line={"width": 0},
        layer="below", row=1, col=n,
    )  # fmt: skip
    hover = [f"<b>random change of the same size</b><br>draw {k}: {with_unit(v, unit)}" for k, v in enumerate(draws, 1)]
    fig.add_scatter(
        x=[at + 0.42] * len(draws), y=draws, mode="markers", text=hover, hovertemplate="%{text}<extra></extra>",
        showlegend=False, row=1, col=n,
        marker={"symbol": "line-ew-open", "size": 9 * type_.scale, "color": theme.MUTED, "line": {"width": 2}},
    )  # fmt: skip


def _draw_floor(fig: go.Figure, n: int, floor: float) -> None:
    if np.isfinite(floor):
        fig.add_shape(
            type="rect", x0=-0.6, x1=len(PARTS) - 0.4, y0=-floor, y1=floor, fillcolor=theme.FAINT, opacity=0.5,
            line={"width": 0}, layer="below", row=1, col=n,
        )  # fmt: skip


def _legend(fig: go.Figure, controls: Sequence[HeadControls]) -> None:
    """What is drawn behind the bars; a floor that is too narrow to be seen is known by its number."""
    draws = controls[0].null.logit_diff.shape[1]
    floors = " and ".join(dict.fromkeys(f"±{brief(found.noise_floor)}" for found in controls))
    for name, colour in (
        (f"range of {draws} random changes of the same size", _BAND),
        (f"{FAINT_TEXT} ({floors} logits)", theme.FAINT),
    ):
        fig.add_bar(x=[None], y=[None], name=name, marker={"color": colour}, row=1, col=1)
