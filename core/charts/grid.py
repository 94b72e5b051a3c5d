"""Panels of cells side by side on one colour scale, every cell clickable.

A click on a heatmap trace selects nothing in Streamlit, so transparent markers lie over the cells and carry
(row, column) as customdata; the heatmaps themselves take no part in hovering. Rows count downwards from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.charts import theme
from core.charts.axes import Part, at, on, side_by_side
from core.charts.labels import PENDING_TEXT, escape, with_unit

ScaleName = Literal["diverging", "sequential"]

FAINT_TEXT = "within the noise floor"
ESTIMATE_TEXT = "estimate"
PALE_TEXT = "its interval holds 0"
_PALE = 0.22  # opacity


@dataclass(frozen=True, eq=False)
class Panel:
    """One map of a figure.

    values: (row, column); NaN is a cell not yet computed. faint: (row, column) bool, cells that are no more than
    noise, shown grey. estimated: (row, column) bool, cells whose value is an estimate, marked with a dot. pale:
    (row, column) bool, means whose interval holds 0.
    """

    title: str
    values: np.ndarray
    faint: np.ndarray | None = None
    estimated: np.ndarray | None = None
    pale: np.ndarray | None = None


@dataclass(frozen=True)
class Cells:
    """What the cells of all panels are: names[row][column] for hovering, notes likewise, and height of a row in px."""

    names: Sequence[Sequence[str]]
    height: float
    notes: Sequence[Sequence[str]] | None = None


def colour_limit(panels: Sequence[Panel]) -> float:
    """The largest magnitude over all panels; 1 where there is nothing but zeros or nothing at all."""
    finite = [abs(panel.values[np.isfinite(panel.values)]) for panel in panels]
    largest = max((float(values.max()) for values in finite if values.size), default=0.0)
    return largest or 1.0


def grid(
    panels: Sequence[Panel],
    cells: Cells,
    unit: str,
    x: Part,
    y: Part,
    scale: ScaleName = "diverging",
    limit: float | None = None,
    chosen: tuple[int, int] | None = None,
    size: theme.SizeName = "normal",
) -> tuple[list[Part], Part]:
    """Traces and layout of the panels, for `theme.frame`; x, y: what their axes are besides their ranges."""
    rows, columns = panels[0].values.shape
    hover = np.array(_hover(panels, cells, unit, signed=scale == "diverging"), dtype=object)
    traces: list[Part] = []
    for n, panel in enumerate(panels):
        layers = [*_layers(panel, cells.height), _click_layer(rows, columns, hover, cells.height, len(panels))]
        traces += [{**layer, **on(n)} for layer in layers]
    limit = limit or colour_limit(panels)
    colours = theme.DIVERGING if scale == "diverging" else theme.SEQUENTIAL
    low = -limit if scale == "diverging" else 0.0
    common = {"showgrid": False, "zeroline": False, "fixedrange": True, "ticks": ""}
    x, y = {"range": [-0.5, columns - 0.5], **common, **x}, {"range": [rows - 0.5, -0.5], **common, **y}
    layout = side_by_side(len(panels), 0.025, x, y, shared=True)
    layout["coloraxis"] = {"colorscale": colours, "cmin": low, "cmax": limit, "colorbar": theme.colour_bar(unit, size)}
    layout |= {"clickmode": "event+select", "hoverdistance": -1}
    if chosen is not None and chosen[0] < rows and chosen[1] < columns:
        layout["shapes"] = outline(chosen, len(panels))
    return traces + _legend(panels), layout


def has_legend(panels: Sequence[Panel]) -> bool:
    return any(mask.any() for panel in panels for mask in _masks(panel).values())


def _masks(panel: Panel) -> dict[str, np.ndarray]:
    pending = ~np.isfinite(panel.values)
    named = {FAINT_TEXT: panel.faint, ESTIMATE_TEXT: panel.estimated, PALE_TEXT: panel.pale}
    none = np.zeros(panel.values.shape, bool)
    return {PENDING_TEXT: pending} | {
        name: none if mask is None else np.asarray(mask, bool) & ~pending for name, mask in named.items()
    }


def _layers(panel: Panel, height: float) -> list[Part]:
    """The coloured cells, grey ones for what has no colour, and marks on what is pending or an estimate."""
    masks = _masks(panel)
    gap = 1 if height >= 14 else 0
    coloured = np.where(masks[PENDING_TEXT] | masks[FAINT_TEXT], np.nan, panel.values.astype(float))
    common = {"type": "heatmap", "xgap": gap, "ygap": gap, "hoverinfo": "skip"}
    pale, full = masks[PALE_TEXT], {**common, "coloraxis": "coloraxis"}
    layers: list[Part] = [{**full, "z": _absent(np.where(pale, np.nan, coloured))}]
    if pale.any():
        layers.append({**full, "z": _absent(np.where(pale, coloured, np.nan)), "opacity": _PALE})
    for name, colour in ((PENDING_TEXT, theme.PENDING), (FAINT_TEXT, theme.FAINT)):
        if masks[name].any():
            z = _absent(np.where(masks[name], 1.0, np.nan))
            layers.append({**common, "z": z, "colorscale": [[0, colour], [1, colour]], "showscale": False})
    for name in (PENDING_TEXT, ESTIMATE_TEXT):
        if masks[name].any():
            y, x = np.nonzero(masks[name])
            marks: Part = {"type": "scatter", "x": x.astype(object), "y": y.astype(object), "mode": "markers"}
            marks["marker"] = _mark(name, min(0.45 * height, 8))
            layers.append({**marks, "hoverinfo": "skip", "showlegend": False})
    return layers


def _absent(values: np.ndarray) -> np.ndarray:
    # Plotly walks lists item by item in Python: arrays of objects are taken whole, and still written as plain JSON.
    cells = values.astype(object)
    cells[np.isnan(values)] = None
    return cells


def _mark(name: str, size: float) -> Part:
    if name == ESTIMATE_TEXT:
        return {"symbol": "circle", "size": max(size / 2, 2.5), "color": theme.MUTED}
    if name == PENDING_TEXT:
        return {"symbol": "line-ne", "size": size, "color": theme.MUTED, "line": {"width": 1, "color": theme.LINE}}
    if name == PALE_TEXT:
        return {"symbol": "square-open", "size": size, "color": theme.MUTED}
    return {"symbol": "square", "size": size, "color": theme.FAINT}


def _legend(panels: Sequence[Panel]) -> list[Part]:
    """At no point of the panels: an entry in the legend, nothing else."""
    nowhere = {"type": "scatter", "x": [None], "y": [None], "mode": "markers", **on(0)}
    return [
        {**nowhere, "name": name, "marker": _mark(name, 10)}
        for name in (PENDING_TEXT, FAINT_TEXT, ESTIMATE_TEXT, PALE_TEXT)
        if any(_masks(panel)[name].any() for panel in panels)
    ]


def _hover(panels: Sequence[Panel], cells: Cells, unit: str, signed: bool) -> list[str]:
    """Row by row, each cell's name and its value in every panel."""
    masks = [_masks(panel) for panel in panels]
    rows, columns = panels[0].values.shape
    texts = []
    for r in range(rows):
        for c in range(columns):
            lines = [f"<b>{escape(cells.names[r][c])}</b>"]
            for panel, mask in zip(panels, masks):
                remarks = [name for name in (FAINT_TEXT, ESTIMATE_TEXT, PALE_TEXT) if mask[name][r, c]]
                remark = f" ({', '.join(remarks)})" if remarks else ""
                lines.append(f"{escape(panel.title)}: {with_unit(panel.values[r, c], unit, signed)}{remark}")
            if cells.notes is not None:
                lines.append(escape(cells.notes[r][c]))
            texts.append("<br>".join(lines))
    return texts


def _click_layer(rows: int, columns: int, hover: np.ndarray, height: float, panels: int) -> Part:
    r, c = np.divmod(np.arange(rows * columns), columns)
    # Markers that overlapped would answer for their neighbours: no larger than a cell of the narrowest page.
    side = max(3.0, min(height, 500 / panels / columns) - 1)
    unseen = {"marker": {"opacity": 0}}
    return {
        "type": "scatter",
        "x": c.astype(object),
        "y": r.astype(object),
        "mode": "markers",
        "marker": {"symbol": "square", "size": side, "opacity": 0},
        "selected": unseen,
        "unselected": unseen,
        "customdata": np.stack([r, c], -1).astype(object),
        "text": hover,
        "hovertemplate": theme.SAID,
        "showlegend": False,
    }


def outline(cell: tuple[int, int], panels: int) -> list[Part]:
    """Shapes around a cell in every panel: two tones, so that the frame stands out from any cell on any page."""
    row, column = cell
    box = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5, "type": "rect"}
    return [
        {**box, "line": {"color": colour, "width": width}, **at(panel)}
        for colour, width in (("#ffffff", 5), ("#111418", 2.5))
        for panel in range(panels)
    ]
