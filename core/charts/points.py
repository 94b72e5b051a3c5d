"""What scatters have in common: points of which some are no more than noise, a ring, and axes that agree."""

from __future__ import annotations

import numpy as np

from core.charts import theme
from core.charts.axes import Part
from core.charts.grid import FAINT_TEXT


def agreement_line(ends: list[float]) -> Part:
    """A layout of both axes on one range, with the line on which they are equal."""
    line = {"color": theme.LINE, "dash": "dot"}
    low, high = ends
    shape = {"type": "line", "x0": low, "x1": high, "y0": low, "y1": high, "line": line, "layer": "below"}
    return {"shapes": [shape], **{axis: {"range": ends, **theme.ZERO} for axis in ("xaxis", "yaxis")}}


def masked(faint: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """The mask of points that are no more than noise; none where nothing is said."""
    return np.zeros(shape, bool) if faint is None else np.asarray(faint, bool)


def remark(noise: bool) -> str:
    return f"<br>{FAINT_TEXT}" if noise else ""


def points(
    x: np.ndarray,
    y: np.ndarray,
    hover: list[str],
    type_: theme.Size,
    customdata: list[list[int]] | None,
    grey: np.ndarray,
) -> Part:
    """Points; grey and open where they are no more than noise."""
    many = len(x) > 200
    opacity = 0.6 if many else 0.85
    colours = np.where(grey, theme.FAINT, theme.SERIES[0]).tolist() if grey.any() else theme.SERIES[0]
    symbols = np.where(grey, "circle-open", "circle").tolist() if grey.any() else "circle"
    size = (6 if many else 9) * type_.scale
    clicked = {"marker": {"opacity": opacity}}
    return {
        "type": "scatter", "x": x.tolist(), "y": y.tolist(), "mode": "markers", "customdata": customdata,
        "text": hover, "hovertemplate": theme.SAID, "showlegend": False,
        "marker": {"size": size, "color": colours, "symbol": symbols, "opacity": opacity},
        "selected": clicked, "unselected": clicked,
    }  # fmt: skip


def square(x: np.ndarray, y: np.ndarray) -> list[float]:
    """The one range that both axes have."""
    finite = np.concatenate([v[np.isfinite(v)].ravel() for v in (x, y)] + [np.zeros(1)])
    low, high = float(finite.min()), float(finite.max())
    room = 0.08 * (high - low) or 1.0
    return [low - room, high + room]


def ring(value: np.ndarray, output: np.ndarray, chosen: tuple[int, int] | None, type_: theme.Size) -> list[Part]:
    """Around the chosen head's point, if there is one."""
    if chosen is None or chosen[0] >= value.shape[0] or chosen[1] >= value.shape[1]:
        return []
    x, y = float(value[chosen]), float(output[chosen])
    if not np.isfinite(x + y):
        return []
    marker = {"symbol": "circle-open", "size": 17 * type_.scale, "color": theme.SERIES[1], "line": {"width": 3}}
    point = {"type": "scatter", "x": [x], "y": [y], "mode": "markers", "marker": marker}
    return [{**point, "hoverinfo": "skip", "showlegend": False}]
