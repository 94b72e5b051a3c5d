"""A figure in words, for who cannot see it: its title and the values that stand out, as hovering says them."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts.axes import Part
from core.charts.figure import parts

NAMED = 3
_TAG = re.compile("<[^<>]*>")


def in_words(fig: go.Figure) -> str:
    """“Direct logit attribution of every head. Largest: L2H6, BASE: +0.11 logits, …; L1H3, …”."""
    made = parts(fig)
    title = made["layout"].get("title", {})
    sentences = [_plain(part["text"]) for part in (title, title.get("subtitle", {})) if part.get("text")]
    found = sorted(_points(made["data"]), key=lambda point: -point[0])
    # Bars side by side, and panels, say the same: both models' values.
    largest = list(dict.fromkeys(_plain(text) for _, text in found))[:NAMED]
    if largest:
        sentences.append(f"Largest: {'; '.join(largest)}")
    return " ".join(f"{sentence.rstrip('.')}." for sentence in sentences)


def _plain(text: str) -> str:
    """A label without its markup."""
    return html.unescape(_TAG.sub("", text.replace("<br>", ", ")))


def _points(traces: Sequence[Part]) -> list[tuple[float, str]]:
    """(magnitude, what hovering says) of each trace's largest bars, points or cells; ties keep their order."""
    found: list[tuple[float, str]] = []
    cells = _cells(traces)
    for trace in traces:
        texts = trace.get("text") if trace.get("hovertext") is None else trace["hovertext"]
        if trace["type"] == "heatmap" or texts is None or isinstance(texts, str):
            continue
        if trace["type"] == "scatter" and trace.get("marker", {}).get("opacity") == 0:
            sizes = np.zeros(len(texts)) if cells is None else cells
        else:
            sizes = np.abs(np.asarray(trace["x" if trace.get("orientation") == "h" else "y"], float))
        largest = np.argsort(-np.nan_to_num(sizes, nan=-1.0), kind="stable")[:NAMED]
        found += [(float(sizes[n]), texts[n]) for n in largest if np.isfinite(sizes[n])]
    return found


def _cells(traces: Sequence[Part]) -> np.ndarray | None:
    """Of a map's cells, row by row, the largest magnitude in any of its panels."""
    maps = [np.abs(np.asarray(t["z"], float)) for t in traces if t["type"] == "heatmap" and t.get("coloraxis")]
    if not maps:
        return None
    absent = np.isnan(maps).all(axis=0)
    return np.where(absent, np.nan, np.nanmax(np.where(np.isnan(maps), -1.0, maps), axis=0)).ravel()
