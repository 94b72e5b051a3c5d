"""What scatters have in common: points of which some are no more than noise, a ring, and axes that agree."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.grid import FAINT_TEXT


def agreement_line(ends: list[float]) -> go.Figure:
    """Both axes on one range, with the line on which they are equal."""
    fig = go.Figure()
    line = {"color": theme.LINE, "dash": "dot"}
    fig.add_shape(type="line", x0=ends[0], x1=ends[1], y0=ends[0], y1=ends[1], line=line, layer="below")
    for update in (fig.update_xaxes, fig.update_yaxes):
        update(range=ends, zeroline=True, zerolinecolor=theme.LINE)
    return fig


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
) -> go.Scatter:
    """Points; grey and open where they are no more than noise."""
    many = len(x) > 200
    opacity = 0.6 if many else 0.85
    colours = np.where(grey, theme.FAINT, theme.SERIES[0]).tolist() if grey.any() else theme.SERIES[0]
    symbols = np.where(grey, "circle-open", "circle").tolist() if grey.any() else "circle"
    size = (6 if many else 9) * type_.scale
    return go.Scatter(
        x=x.tolist(), y=y.tolist(), mode="markers", customdata=customdata, text=hover, showlegend=False,
        marker={"size": size, "color": colours, "symbol": symbols, "opacity": opacity},
        hovertemplate="%{text}<extra></extra>", selected={"marker": {"opacity": opacity}},
        unselected={"marker": {"opacity": opacity}},
    )  # fmt: skip


def square(x: np.ndarray, y: np.ndarray) -> list[float]:
    """The one range that both axes have."""
    finite = np.concatenate([v[np.isfinite(v)].ravel() for v in (x, y)] + [np.zeros(1)])
    low, high = float(finite.min()), float(finite.max())
    room = 0.08 * (high - low) or 1.0
    return [low - room, high + room]


def ring(
    fig: go.Figure, value: np.ndarray, output: np.ndarray, chosen: tuple[int, int] | None, type_: theme.Size
) -> None:
    """Around the chosen head's point."""
    if chosen is None or chosen[0] >= value.shape[0] or chosen[1] >= value.shape[1]:
        return
    x, y = float(value[chosen]), float(output[chosen])
    if np.isfinite(x + y):
        fig.add_scatter(
            x=[x], y=[y], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"symbol": "circle-open", "size": 17 * type_.scale, "color": theme.SERIES[1], "line": {"width": 3}},
        )  # fmt: skip
