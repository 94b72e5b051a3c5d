"""Panels of axes, and the parts of a figure as Plotly reads them: plain dictionaries.

A builder writes its traces and its layout as such and hands them to `theme.frame`, which makes the one figure of them,
checked by Plotly. A figure that is changed once it is made takes ten times as long.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Part: TypeAlias = dict[str, Any]


def on(panel: int) -> Part:
    """The axes of a trace or mark on a panel, the first being 0: those that `side_by_side` and `stacked` name so."""
    return {"xaxis": _name("x", panel), "yaxis": _name("y", panel)}


def at(panel: int, of: str = "") -> Part:
    """The axes of a shape or an annotation; of: " domain" where its place is a share of the panel."""
    return {"xref": _name("x", panel) + of, "yref": _name("y", panel) + of}


def side_by_side(count: int, gap: float, x: Part, y: Part, shared: bool = False) -> Part:
    """The axes of panels in a row, all as x and y say; gap: a share of the width. shared: they have one y axis."""
    layout: Part = {}
    for panel, domain in enumerate(_domains(count, gap)):
        first = not shared or panel == 0
        linked = {} if first else {"matches": "y", "showticklabels": False}
        layout |= _panel(panel, {**x, "domain": domain}, {**y, **linked, "domain": [0.0, 1.0]})
    return layout


def stacked(count: int, gap: float, x: Part, y: Part) -> Part:
    """The axes of panels below each other, the first on top, on one x axis; gap: a share of the height."""
    layout: Part = {}
    last = _name("x", count - 1)
    for panel, domain in enumerate(reversed(_domains(count, gap))):
        linked = {} if panel == count - 1 else {"matches": last, "showticklabels": False}
        layout |= _panel(panel, {**x, **linked, "domain": [0.0, 1.0]}, {**y, "domain": domain})
    return layout


def in_grid(rows: int, columns: int, gaps: tuple[float, float], x: Part, y: Part) -> Part:
    """The axes of rows of panels, numbered row by row; ticks of x stand below the last row, of y left of the first
    column alone: the caller has them agree. gaps: between rows and between columns, shares of height and width."""
    layout: Part = {}
    for row, up in enumerate(reversed(_domains(rows, gaps[0]))):
        for column, across in enumerate(_domains(columns, gaps[1])):
            shown = {"showticklabels": row == rows - 1}, {"showticklabels": column == 0}
            own = {**x, **shown[0], "domain": across}, {**y, **shown[1], "domain": up}
            layout |= _panel(row * columns + column, *own)
    return layout


def axis(letter: str, panel: int) -> str:
    """What the layout calls a panel's axis: xaxis2 is the second's."""
    return f"{letter}axis{panel + 1 if panel else ''}"


def _panel(panel: int, x: Part, y: Part) -> Part:
    anchors = _name("y", panel), _name("x", panel)
    return {axis("x", panel): {**x, "anchor": anchors[0]}, axis("y", panel): {**y, "anchor": anchors[1]}}


def _domains(count: int, gap: float) -> list[list[float]]:
    width = (1.0 - gap * (count - 1)) / count
    return [[(width + gap) * n, (width + gap) * n + width] for n in range(count)]


def _name(letter: str, panel: int) -> str:
    return f"{letter}{panel + 1 if panel else ''}"
