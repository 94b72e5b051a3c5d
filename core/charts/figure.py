"""A figure as its builder wrote it: plain parts, of which Plotly's objects are made once somebody asks for one.

A browser gets the parts. Objects of them, and a copy of each, take two thirds of a figure's time, and nobody looks at
them: what a page says of a figure, and what depends on its theme, is read off the parts and written into new ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.charts.axes import Part


class Figure(go.Figure):  # type: ignore[misc]
    """Traces and layout, which are nobody's to change from now on (see `laid_out`), and which are not checked. One
    thread at a time has Plotly's objects made of them."""

    def __init__(self, data: Any = None, layout: Any = None, **more: Any) -> None:
        self.__dict__["_parts"] = (data, layout, more)

    def __getattr__(self, name: str) -> Any:
        # What Plotly keeps of a figure is there once it is made.
        made_of = self.__dict__.pop("_parts", None)
        if made_of is None:
            raise AttributeError(name)
        data, layout, more = made_of
        # A trace's type is taken out of it on the way.
        own = [dict(trace) for trace in data] if isinstance(data, list) else data
        super().__init__(own, layout, **{"_validate": False, **more})
        return getattr(self, name)

    def to_dict(self) -> Part:
        """As Plotly writes it, which packs arrays; where there are none, without making any object."""
        try:
            return {name: _copied(part) for name, part in parts(self).items()}
        except _Packing:
            made: Part = super().to_dict()
            return made


class _Packing(Exception):
    """There is an array among the parts."""


def parts(fig: go.Figure) -> Part:
    """Its traces, `data`, and its `layout`, for reading: those that it was written with, where it is as it was."""
    data, layout, _ = vars(fig).get("_parts", (None, None, None))
    if isinstance(data, list) and isinstance(layout, dict):
        return {"data": data, "layout": layout}
    return {"data": [trace.to_plotly_json() for trace in fig.data], "layout": fig.layout.to_plotly_json()}


def laid_out(fig: go.Figure, **changes: Any) -> Figure:
    """The figure with these entries of its layout in place of its own."""
    made = parts(fig)
    return Figure(made["data"], {**made["layout"], **changes})


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(part) for part in value]
    if isinstance(value, np.ndarray):
        raise _Packing
    return value
