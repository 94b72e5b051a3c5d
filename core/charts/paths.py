"""The map of what reaches one head's queries, keys or values: senders by layer, heads beside their MLP."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part
from core.charts.grid import Cells, Panel, grid
from core.patching.path_results import Paths
from core.patching.senders import Sender

ROW = (10.0, 22.0)  # px: the least and the largest height of a layer
LEAST = 110.0  # px of all layers: the ticks of the colour bar beside them need it


def sender_map(
    found: Paths, part: str, values: np.ndarray, title: str, unit: str, limit: float, size: theme.SizeName = "normal"
) -> go.Figure:
    """values: (part, sender), effects or scores; NaN is a path that has not run. limit: the scale's end.

    A click on a cell selects customdata [row, column], which `sender_at` reads. The embedding, which is one sender, is
    a row of its own.
    """
    layers, heads = found.receiver[0], found.n_heads
    columns = heads + 1
    names = [[sender_at(found, row, column).name for column in range(columns)] for row in range(layers + 1)]
    panel = Panel(
        f"into {part} of {found.of(part)}",
        _arranged(found, part, values),
        faint=_arranged(found, part, found.within_noise) == 1,
    )
    rows = layers + 1
    wanted = max(rows * float(np.clip(300 / rows, *ROW)), LEAST)
    height = theme.plot_height(wanted, size, legend=True) / rows
    type_ = theme.SIZES[size]
    every = theme.step(heads, 640 / (2.1 * type_.tick))
    shown = [n for n in range(heads) if n % every == 0]
    x: Part = {"title": {"text": "head"}, "tickvals": [*shown, heads], "ticktext": [*map(str, shown), "MLP"]}
    every = theme.step(rows, rows * height / (1.5 * type_.tick))
    shown = [n for n in range(layers) if n % every == 0 and (n or height > 1.3 * type_.tick)]
    y: Part = {"tickvals": [0, *(n + 1 for n in shown)], "ticktext": ["emb", *map(str, shown)]}
    traces, layout = grid([panel], Cells(names, height), unit, x, y, limit=limit, size=size)
    layout["yaxis"]["title"] = {"text": "layer"}
    return theme.frame(traces, layout, title, rows * height, size, legend=True)


def sender_at(found: Paths, row: int, column: int) -> Sender:
    """Whose cell of the map it is."""
    if row == 0:
        return Sender("embed")
    return Sender("head", row - 1, column) if column < found.n_heads else Sender("mlp", row - 1)


def _arranged(found: Paths, part: str, values: np.ndarray) -> np.ndarray:
    """One part's numbers as the map has them; the embedding's stands in every cell of its row."""
    embedding, heads, mlp = (found.by_kind(part, values, kind) for kind in ("embed", "head", "mlp"))
    layers = np.concatenate([heads, mlp[:, None]], 1).astype(float)
    return np.concatenate([np.full((1, layers.shape[1]), embedding[0], float), layers])
