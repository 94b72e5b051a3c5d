"""Figures of two experiments, A and B, and of their difference B − A, on one scale or one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part, axis, in_grid, on, side_by_side, stacked
from core.charts.grid import Panel
from core.charts.labels import escape, token_labels, with_unit
from core.results import Summary
from core.wording import number, signed

DIFFERENCE = "B − A"
TITLES = ("A", "B", DIFFERENCE)
ROWS = ("BASE", "INSTRUCT", "gap")
LONGEST = 10  # characters of a token below its bars
_COLOURS = (theme.BASE, theme.INSTRUCT, theme.MUTED)


def gap_values(a: Summary, b: Summary) -> np.ndarray:
    """(panel, row): A, B and B − A, each of BASE's and INSTRUCT's logit difference and the gap, in logits."""
    both = np.array([[*map(float, summary.logit_diff), summary.gap] for summary in (a, b)])
    return np.array([*both, both[1] - both[0]])


def gap_span(values: np.ndarray) -> theme.Span:
    """From end to end of all bars, zero among them."""
    return min(float(values.min()), 0.0), max(float(values.max()), 0.0)


def gap_axis(span: theme.Span) -> theme.Span:
    """The one axis of bars that span so much, with room for a number beyond the longest on either side."""
    return theme.with_room(span, 0.42, bare=0.1)


def gap_beside(
    values: np.ndarray, titles: Sequence[str] = TITLES, size: theme.SizeName = "normal", span: theme.Span | None = None
) -> go.Figure:
    """values: of `gap_values`; titles: of the panels. span: of the one axis that all have."""
    type_ = theme.SIZES[size]
    ends = list(span or gap_axis(gap_span(values)))
    x = {"title": {"text": theme.LOGITS}, "range": ends, "nticks": 5, "zerolinewidth": 1.5}
    y = {"tickvals": [0, 1, 2], "ticktext": list(ROWS), "range": [2.5, -0.5], "showgrid": False, "zeroline": False}
    layout = side_by_side(len(values), 0.03, {**x, **theme.ZERO}, y, shared=True)
    layout["annotations"] = theme.headings(titles, size)
    traces = [
        {
            "type": "bar", "x": row.tolist(), "y": list(range(len(ROWS))), "orientation": "h", "width": 0.62,
            "showlegend": False, "marker": {"color": list(_COLOURS)}, "text": [f"<b>{signed(v)}</b>" for v in row],
            "textposition": "outside", "textfont": {"size": 1.15 * type_.title}, "cliponaxis": False,
            "hovertext": [f"<b>{escape(title)}</b>, {at}: {with_unit(v, theme.LOGITS)}" for at, v in zip(ROWS, row)],
            "hovertemplate": "%{hovertext}<extra></extra>", **on(panel),
        }
        for panel, (title, row) in enumerate(zip(titles, values))
    ]  # fmt: skip
    title = "Logit difference, answer − original"
    return theme.frame(traces, layout, title, 150 * type_.scale, size, headings=True)


def layers_beside(
    columns: Mapping[str, Mapping[str, np.ndarray]],
    title: str,
    unit: str,
    span: theme.Span,
    series: Sequence[str] = ("BASE", "INSTRUCT"),
    size: theme.SizeName = "normal",
) -> go.Figure:
    """columns: title → row → (series, layer), NaN what has not run; every panel's axis of values spans `span`."""
    type_ = theme.SIZES[size]
    rows, count = list(next(iter(columns.values()))), len(columns)
    y = {"range": list(span), **theme.ZERO, "zerolinewidth": 1.5}
    layout = in_grid(len(rows), count, (0.08, 0.03), {"tick0": 0, "showgrid": False, "zeroline": False}, y)
    layout |= {
        "barmode": "group",
        "bargap": 0.2,
        "bargroupgap": 0.05,
        "annotations": theme.headings(list(columns), size),
    }
    traces: list[Part] = []
    for c, (column, values) in enumerate(columns.items()):
        layers = values[rows[0]].shape[1]
        across = {"range": [-0.5, layers - 0.5], "dtick": theme.step(layers, type_.width / count / (2.4 * type_.tick))}
        for r, row in enumerate(rows):
            panel = r * count + c
            layout[axis("x", panel)] |= across
            traces += _layer_bars(f"{column}, {row}", values[row], unit, series, panel)
        # Where room is scarce, what the figure's title says already is not said again.
        layout[axis("x", (len(rows) - 1) * count + c)]["title"] = {"text": "layer" if type_.height is None else ""}
    for r, row in enumerate(rows):
        layout[axis("y", r * count)]["title"] = {"text": escape(row)}
    height = 74 * max(len(rows), 1.8) * type_.scale
    bottom = 0 if type_.height is None else 1.8 * type_.tick + 0.4 * type_.text
    legend = len(series) > 1
    return theme.frame(traces, layout, f"{title}, {unit}", height, size, legend=legend, headings=True, bottom=bottom)


def _layer_bars(where: str, values: np.ndarray, unit: str, series: Sequence[str], panel: int) -> list[Part]:
    """The bars of one panel, a trace a series."""
    layers = list(range(values.shape[1]))
    colours = (theme.BASE, theme.INSTRUCT) if len(series) == 2 else theme.SERIES
    said = [[f"{escape(name)}: {with_unit(float(v), unit)}" for name, v in zip(series, of)] for of in values.T]
    hover = ["<br>".join([f"<b>{escape(where)}, layer {n}</b>", *lines]) for n, lines in zip(layers, said)]
    return [
        {
            "type": "bar", "x": layers, "y": [None if np.isnan(v) else float(v) for v in bars], "name": escape(name),
            "text": hover, "textposition": "none", "hovertemplate": "%{text}<extra></extra>",
            "customdata": [[layer] for layer in layers], "marker": {"color": colour, "line": {"width": 0}},
            "legendgroup": escape(name), "showlegend": panel == 0, **on(panel),
        }
        for name, colour, bars in zip(series, colours, values)
    ]  # fmt: skip


def map_panels(a: np.ndarray, b: np.ndarray, titles: Sequence[str] = TITLES) -> tuple[Panel, ...]:
    """A | B | B − A of maps; without their difference where their shapes are not one."""
    maps = (a, b, b - a) if a.shape == b.shape else (a, b)
    return tuple(Panel(title, values) for title, values in zip(titles, maps))


@dataclass(frozen=True, eq=False)
class TokenRow:
    """One head's attention in one experiment. values: (model, position); tokens: the prompt's."""

    title: str
    values: np.ndarray
    tokens: Sequence[str]


def token_span(rows: Sequence[TokenRow]) -> theme.Span:
    """What the one axis of values must hold."""
    low = min(0.0, *(float(row.values.min()) for row in rows))
    high = max(0.0, *(float(row.values.max()) for row in rows))
    room = 0.06 * (high - low) or 1.0
    return low - (room if low < 0 else 0.0), high + room


def tokens_below(
    rows: Sequence[TokenRow], title: str, size: theme.SizeName = "normal", span: theme.Span | None = None
) -> go.Figure:
    """One row of bars an experiment, all on one axis of values, their tokens named once below the last."""
    type_ = theme.SIZES[size]
    places, labels = _slots(rows)
    y = {"range": list(span or token_span(rows)), **theme.ZERO, "nticks": 4}
    layout = stacked(len(rows), 0.06, {"showgrid": False, "zeroline": False}, y)
    layout |= {"barmode": "group", "bargap": 0.25, "bargroupgap": 0.05}
    ticks, shown = theme.token_axis(labels, {}, size)
    traces: list[Part] = []
    for panel, row in enumerate(rows):
        layout[axis("x", panel)] |= {**ticks, "range": [-0.6, len(labels) - 0.4]}
        layout[axis("y", panel)]["title"] = {"text": escape(row.title)}
        traces += _token_bars(row, places[panel], panel)
    bottom = theme.tick_row(shown, size, title=False)
    height = 56 * max(len(rows), 3) * type_.scale
    return theme.frame(traces, layout, title, height, size, legend=True, bottom=bottom)


def _slots(rows: Sequence[TokenRow]) -> tuple[list[list[int]], list[str]]:
    """Of every row the slots of the axis in which its tokens stand, and what each slot is called: by all that stand in
    it. Prompts of as many tokens share them by position, two others by what both have in common."""
    names = [token_labels(row.tokens, LONGEST) for row in rows]
    places = [list(range(len(of))) for of in names]
    count = len(places[0])
    if len({len(of) for of in names}) > 1:
        first, second = (row.tokens for row in rows)
        places, count = [[], []], 0
        for _, a, a_end, b, b_end in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
            places[0] += range(count, count + a_end - a)
            places[1] += range(count, count + b_end - b)
            count += max(a_end - a, b_end - b)
    called: list[list[str]] = [[] for _ in range(count)]
    for of, slots in zip(names, places):
        for name, slot in zip(of, slots):
            called[slot].append(name)
    return places, ["/".join(dict.fromkeys(each)) for each in called]


def _token_bars(row: TokenRow, slots: Sequence[int], panel: int) -> list[Part]:
    hover = [_token_hover(row, i, label) for i, label in enumerate(token_labels(row.tokens, LONGEST))]
    return [
        {
            "type": "bar", "x": list(slots), "y": values.tolist(), "name": model, "text": hover,
            "textposition": "none", "hovertemplate": "%{text}<extra></extra>", "legendgroup": model,
            "marker": {"color": colour, "line": {"width": 0}}, "showlegend": panel == 0, **on(panel),
        }
        for model, colour, values in zip(("BASE", "INSTRUCT"), (theme.BASE, theme.INSTRUCT), row.values)
    ]  # fmt: skip


def _token_hover(row: TokenRow, position: int, label: str) -> str:
    base, instruct = map(float, row.values[:, position])
    return (
        f"<b>{escape(row.title)}, token {position + 1}: {label}</b><br>BASE: {number(base)}<br>"
        f"INSTRUCT: {number(instruct)}<br>INSTRUCT − BASE: {number(instruct - base)}"
    )
