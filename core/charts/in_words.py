"""A figure in words, for who cannot see it: its title and the values that stand out, as hovering says them."""

from __future__ import annotations

import html
import re

import numpy as np
import plotly.graph_objects as go

NAMED = 3
_TAG = re.compile("<[^<>]*>")


def in_words(fig: go.Figure) -> str:
    """“Direct logit attribution of every head. Largest: L2H6, BASE: +0.11 logits, …; L1H3, …”."""
    title = fig.layout.title
    sentences = [_plain(text) for text in (title.text, title.subtitle.text) if text]
    found = sorted(_points(fig), key=lambda point: -point[0])
    # Bars side by side, and panels, say the same: both models' values.
    largest = list(dict.fromkeys(_plain(text) for _, text in found))[:NAMED]
    if largest:
        sentences.append(f"Largest: {'; '.join(largest)}")
    return " ".join(f"{sentence.rstrip('.')}." for sentence in sentences)


def _plain(text: str) -> str:
    """A label without its markup."""
    return html.unescape(_TAG.sub("", text.replace("<br>", ", ")))


def _points(fig: go.Figure) -> list[tuple[float, str]]:
    """(magnitude, what hovering says) of each trace's largest bars, points or cells; ties keep their order."""
    found: list[tuple[float, str]] = []
    cells = _cells(fig)
    for trace in fig.data:
        texts = trace.hovertext if getattr(trace, "hovertext", None) is not None else getattr(trace, "text", None)
        if trace.type == "heatmap" or texts is None or isinstance(texts, str):
            continue
        if trace.type == "scatter" and trace.marker.opacity == 0:
            sizes = np.zeros(len(texts)) if cells is None else cells
        else:
            sizes = np.abs(np.asarray(trace.x if getattr(trace, "orientation", None) == "h" else trace.y, float))
        largest = np.argsort(-np.nan_to_num(sizes, nan=-1.0), kind="stable")[:NAMED]
        found += [(float(sizes[n]), texts[n]) for n in largest if np.isfinite(sizes[n])]
    return found


def _cells(fig: go.Figure) -> np.ndarray | None:
    """Of a map's cells, row by row, the largest magnitude in any of its panels."""
    maps = [np.abs(np.asarray(trace.z, float)) for trace in fig.data if trace.type == "heatmap" and trace.coloraxis]
    if not maps:
        return None
    absent = np.isnan(maps).all(axis=0)
    return np.where(absent, np.nan, np.nanmax(np.where(np.isnan(maps), -1.0, maps), axis=0)).ravel()
