"""The logit lens along the depth: both models' logit difference, or each candidate's logit."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.labels import escape, with_unit
from core.results import Depth
from core.wording import number, quoted

COLOURS = {"BASE": theme.BASE, "INSTRUCT": theme.INSTRUCT}
HEIGHT = 190


def logit_lens(
    depth: Depth,
    candidates: bool = False,
    size: theme.SizeName = "normal",
    span: theme.Span | None = None,
) -> go.Figure:
    """One line a model, with a ring where the answer overtakes the original for good.

    candidates: whether each has a line of its own, in place of their difference. span: of the axis of values.
    """
    type_ = theme.SIZES[size]
    hover, traces = _hover(depth, candidates), []
    for m, name in enumerate(COLOURS):
        for label, values, dash in _lines(depth, m, candidates):
            line = {"color": COLOURS[name], "width": 2 * type_.scale, "dash": dash}
            drawn = {"type": "scatter", "x": depth.at.tolist(), "y": values.tolist(), "mode": "lines", "line": line}
            said = {"name": escape(f"{name}{label}"), "text": hover, "hovertemplate": theme.SAID}
            traces.append({**drawn, **said})
        if not candidates and (place := depth.overtakes(m)):
            ring = {"size": 10 * type_.scale, "color": theme.CLEAR, "line": {"width": 2, "color": COLOURS[name]}}
            at = {"x": [float(depth.at[place])], "y": [float(depth.logit_diff[m, place])]}
            traces.append(
                {"type": "scatter", **at, "mode": "markers", "marker": ring, "hoverinfo": "skip", "showlegend": False}
            )
    layers = int(depth.at[-1])
    layout = {
        "xaxis": {
            "title": {"text": "layers passed"}, "range": [-0.01 * layers, 1.01 * layers], "tick0": 0,
            "dtick": theme.step(layers, type_.width / (2.2 * type_.tick)), "showgrid": False, "zeroline": False,
        },
        "yaxis": {
            "title": {"text": theme.LOGITS}, "range": list(span or lens_span(depth, candidates)),
            **theme.ZERO, "zerolinewidth": 1.5,
        },
    }  # fmt: skip
    what = "logits of both candidates" if candidates else "logit difference"
    title = f"Logit lens: {what} along the depth"
    return theme.frame(traces, layout, title, HEIGHT * type_.scale, size, legend=True)


def lens_span(depth: Depth, candidates: bool = False) -> theme.Span:
    """What the axis of values must hold: every line, and zero."""
    shown = np.stack([depth.logit_answer, depth.logit_original] if candidates else [depth.logit_diff])
    low, high = min(float(shown.min()), 0.0), max(float(shown.max()), 0.0)
    room = 0.07 * (high - low) or 1.0
    return low - room, high + room


def _lines(depth: Depth, m: int, candidates: bool) -> list[tuple[str, np.ndarray, str]]:
    if not candidates:
        return [("", depth.logit_diff[m], "solid")]
    answer, original = (f" {quoted(token)}" for token in (depth.answer, depth.original))
    return [(answer, depth.logit_answer[m], "solid"), (original, depth.logit_original[m], "dot")]


def _hover(depth: Depth, candidates: bool) -> list[str]:
    """Every line's value at each point."""
    lines = [(name, *line[:2]) for m, name in enumerate(COLOURS) for line in _lines(depth, m, candidates)]
    texts = []
    for n, place in enumerate(depth.names):
        said = [f"{escape(name + label)}: {with_unit(float(values[n]), theme.LOGITS)}" for name, label, values in lines]
        if not candidates:
            said.append(f"INSTRUCT − BASE: {number(float(depth.logit_diff[1, n] - depth.logit_diff[0, n]))}")
        texts.append("<br>".join([f"<b>{place}</b>", *said]))
    return texts
