"""Figures of two experiments, A and B, and of their difference B − A, on one scale or one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.charts import theme
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
    """What the one axis must hold: every bar, zero, and a number beyond the longest on either side."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = 0.42 * (high - low) or 1.0
    return low - (room if low < 0 else 0.1 * room), high + (room if high > 0 else 0.1 * room)


def gap_beside(
    values: np.ndarray, titles: Sequence[str] = TITLES, size: theme.SizeName = "normal", span: theme.Span | None = None
) -> go.Figure:
    """values: of `gap_values`; titles: of the panels. span: of the one axis that all have."""
    type_ = theme.SIZES[size]
    fig = make_subplots(1, len(values), shared_yaxes=True, horizontal_spacing=0.03)
    for n, (title, row) in enumerate(zip(titles, values), 1):
        hover = [f"<b>{escape(title)}</b>, {name}: {with_unit(v, theme.LOGITS)}" for name, v in zip(ROWS, row)]
        fig.add_bar(
            x=row.tolist(), y=list(range(len(ROWS))), orientation="h", width=0.62, showlegend=False,
            marker={"color": list(_COLOURS)}, text=[f"<b>{signed(v)}</b>" for v in row], textposition="outside",
            textfont={"size": 1.15 * type_.title}, cliponaxis=False, hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>", row=1, col=n,
        )  # fmt: skip
    theme.headings(fig, list(titles), size)
    fig.update_xaxes(range=list(span or gap_span(values)), zeroline=True, zerolinewidth=1.5, zerolinecolor=theme.LINE)
    fig.update_xaxes(title_text=theme.LOGITS, nticks=5)
    fig.update_yaxes(tickvals=[0, 1, 2], ticktext=list(ROWS), range=[2.5, -0.5], showgrid=False, zeroline=False)
    return theme.frame(fig, "Logit difference, answer − original", 150 * type_.scale, size, headings=True)


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
    rows = list(next(iter(columns.values())))
    fig = make_subplots(len(rows), len(columns), shared_yaxes="all", vertical_spacing=0.08, horizontal_spacing=0.03)
    colours = (theme.BASE, theme.INSTRUCT) if len(series) == 2 else theme.SERIES
    for c, (column, values) in enumerate(columns.items(), 1):
        for r, row in enumerate(rows, 1):
            _layer_bars(fig, f"{column}, {row}", values[row], unit, series, colours, (r, c))
        layers = values[rows[0]].shape[1]
        every = theme.step(layers, 850 / len(columns) / (2.4 * type_.tick))
        fig.update_xaxes(range=[-0.5, layers - 0.5], tick0=0, dtick=every, showgrid=False, zeroline=False, col=c)
        fig.update_xaxes(showticklabels=False, col=c)
        fig.update_xaxes(showticklabels=True, title_text="layer", row=len(rows), col=c)
    for r, row in enumerate(rows, 1):
        fig.update_yaxes(title_text=escape(row), row=r, col=1)
    fig.update_layout(barmode="group", bargap=0.2, bargroupgap=0.05)
    fig.update_yaxes(range=list(span), zeroline=True, zerolinewidth=1.5, zerolinecolor=theme.LINE)
    theme.headings(fig, list(columns), size)
    height = 74 * max(len(rows), 1.8) * type_.scale
    return theme.frame(fig, f"{title}, {unit}", height, size, legend=len(series) > 1, headings=True)


def _layer_bars(
    fig: go.Figure,
    where: str,
    values: np.ndarray,
    unit: str,
    series: Sequence[str],
    colours: Sequence[str],
    place: tuple[int, int],
) -> None:
    layers = range(values.shape[1])
    hover = [
        "<br>".join(
            [f"<b>{escape(where)}, layer {layer}</b>"]
            + [f"{escape(name)}: {with_unit(float(v), unit)}" for name, v in zip(series, values[:, layer])]
        )
        for layer in layers
    ]
    for name, colour, bars in zip(series, colours, values):
        fig.add_bar(
            x=list(layers), y=[None if np.isnan(v) else float(v) for v in bars], name=escape(name), text=hover,
            textposition="none", hovertemplate="%{text}<extra></extra>", customdata=[[layer] for layer in layers],
            marker={"color": colour, "line": {"width": 0}}, legendgroup=escape(name), showlegend=place == (1, 1),
            row=place[0], col=place[1],
        )  # fmt: skip


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
    """One row of bars an experiment, all on one axis of values; rows of as many positions have their tokens once."""
    type_ = theme.SIZES[size]
    shared = len({row.values.shape[1] for row in rows}) == 1
    labels = [token_labels(row.tokens, LONGEST) for row in rows]
    if shared:
        labels = [_merged(labels)] * len(rows)
    gap = 0.06 if shared else 0.3
    fig = make_subplots(len(rows), 1, shared_xaxes=shared, vertical_spacing=gap)
    bottom = 0.0
    for n, (row, names) in enumerate(zip(rows, labels), 1):
        count = row.values.shape[1]
        hover = [_token_hover(row, i, name) for i, name in enumerate(names)]
        for model, colour, values in zip(("BASE", "INSTRUCT"), (theme.BASE, theme.INSTRUCT), row.values):
            fig.add_bar(
                x=list(range(count)), y=values.tolist(), name=model, text=hover, textposition="none",
                hovertemplate="%{text}<extra></extra>", marker={"color": colour, "line": {"width": 0}},
                legendgroup=model, showlegend=n == 1, row=n, col=1,
            )  # fmt: skip
        every = theme.step(count, 850 / (1.1 * type_.tick))
        ticks = list(range(0, count, every))
        fig.update_xaxes(
            tickvals=ticks, ticktext=[names[i] for i in ticks], tickangle=-90, range=[-0.6, count - 0.4],
            showgrid=False, zeroline=False, row=n, col=1,
        )  # fmt: skip
        fig.update_yaxes(title_text=escape(row.title), row=n, col=1)
        bottom = max(bottom, theme.tick_row([names[i] for i in ticks], size, title=False))
    fig.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05)
    fig.update_yaxes(range=list(span or token_span(rows)), zeroline=True, zerolinecolor=theme.LINE, nticks=4)
    height = (56 if shared else 120) * len(rows) * type_.scale
    return theme.frame(fig, title, height, size, legend=True, bottom=bottom)


def _merged(labels: Sequence[Sequence[str]]) -> list[str]:
    """The tokens of one axis for several prompts: where they differ, all of them."""
    return ["/".join(dict.fromkeys(names)) for names in zip(*labels)]


def _token_hover(row: TokenRow, position: int, label: str) -> str:
    base, instruct = map(float, row.values[:, position])
    return (
        f"<b>{escape(row.title)}, token {position + 1}: {label}</b><br>BASE: {number(base)}<br>"
        f"INSTRUCT: {number(instruct)}<br>INSTRUCT − BASE: {number(instruct - base)}"
    )
