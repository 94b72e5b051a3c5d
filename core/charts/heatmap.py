"""Layer × head maps: direct logit attribution, patch scores, attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.grid import Cells, Panel, ScaleName, grid, has_legend
from core.results import group_name, head_name

Columns = Literal["head", "KV group"]

MODEL_TITLES = ("BASE", "INSTRUCT", "INSTRUCT − BASE")


def model_panels(values: np.ndarray, difference: bool = True) -> tuple[Panel, ...]:
    """BASE | INSTRUCT | INSTRUCT − BASE of values with axes (model, layer, head)."""
    base, instruct = values
    maps = (base, instruct, instruct - base) if difference else (base, instruct)
    return tuple(Panel(title, np.asarray(map_)) for title, map_ in zip(MODEL_TITLES, maps))


def head_heatmaps(
    panels: Sequence[Panel],
    title: str,
    unit: str = theme.LOGITS,
    scale: ScaleName = "diverging",
    limit: float | None = None,
    chosen: tuple[int, int] | None = None,
    columns: Columns = "head",
    notes: Sequence[Sequence[str]] | None = None,
    subtitle: str = "",
    size: theme.SizeName = "normal",
    fills: bool = False,
) -> go.Figure:
    """One to three layer × head maps on one colour scale; a click on a cell selects customdata [layer, head].

    scale: "diverging" is symmetric around zero, "sequential" starts at zero. limit: the scale's end, by default the
    largest magnitude shown. chosen: (layer, head) outlined in every panel. columns: what the x axis counts.
    notes: [layer][head], a line added to what hovering shows, for instance which heads share a KV group.
    fills: the figure is drawn again as cells arrive, so its height must not depend on which have.
    """
    layers, count = panels[0].values.shape
    name = head_name if columns == "head" else group_name
    names = [[name(layer, h) for h in range(count)] for layer in range(layers)]
    type_, legend = theme.SIZES[size], fills or has_legend(panels)
    wanted = layers * float(np.clip(260 / layers, 8, 36)) * (1 if layers > 24 else type_.scale)
    height = theme.plot_height(wanted, size, legend, headings=True) / layers
    every = theme.step(count, 800 / len(panels) / (2.1 * type_.tick))
    x = {"title": {"text": columns}, "tick0": 0, "dtick": every}
    y = {"tick0": 0, "dtick": theme.step(layers, layers * height / (1.5 * type_.tick))}
    traces, layout = grid(panels, Cells(names, height, notes), unit, x, y, scale, limit, chosen, size)
    layout["yaxis"]["title"] = {"text": "layer"}
    layout["annotations"] = theme.headings([panel.title for panel in panels], size)
    return theme.frame(traces, layout, title, layers * height, size, subtitle, legend, headings=True)
