"""The layer attribution plot: what attention and MLP of every layer add to the logit difference."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.charts import theme
from core.charts.grid import FAINT_TEXT
from core.charts.labels import escape, with_unit
from core.results import Attribution
from core.wording import number


def layer_attribution(
    attribution: Attribution, size: theme.SizeName = "normal", span: theme.Span | None = None
) -> go.Figure:
    """Attention above, MLP below, BASE and INSTRUCT side by side; both rows on one scale, in logits."""
    rows = {"attention": attribution.attn, "MLP": attribution.mlp}
    return layer_bars(rows, "Direct logit attribution by layer", theme.LOGITS, _rest(attribution), size, span=span)


def layer_bars(
    rows: dict[str, np.ndarray],
    title: str,
    unit: str,
    subtitle: str = "",
    size: theme.SizeName = "normal",
    series: tuple[str, ...] = ("BASE", "INSTRUCT"),
    faint: np.ndarray | None = None,
    span: theme.Span | None = None,
) -> go.Figure:
    """One row of bars for each entry of `rows`, name → (series, layer), all on one scale; customdata is [layer].

    series: what the first axis of each entry counts, one or two names; NaN is a layer not yet computed.
    faint: (layer,) bool, layers whose bars of the first series are no more than noise: grey and not named.
    span: of the axes of values, by default what the bars need.
    """
    type_ = theme.SIZES[size]
    layers = next(iter(rows.values())).shape[1]
    colours = (theme.BASE, theme.INSTRUCT) if series == ("BASE", "INSTRUCT") else theme.SERIES
    noise = np.zeros(layers, bool) if faint is None else np.asarray(faint, bool)
    fig = make_subplots(len(rows), 1, shared_xaxes=True, vertical_spacing=0.06)
    for n, (name, values) in enumerate(rows.items(), 1):
        hover = [_hover(name, layer, values[:, layer], series, unit) for layer in range(layers)]
        hover = [f"{text}<br>{FAINT_TEXT}" if grey else text for text, grey in zip(hover, noise)]
        for s, (label, colour, row) in enumerate(zip(series, colours, values)):
            fill = [theme.FAINT if grey and s == 0 else colour for grey in noise] if noise.any() else colour
            fig.add_bar(
                x=list(range(layers)), y=[None if np.isnan(v) else float(v) for v in row], name=escape(label),
                customdata=[[layer] for layer in range(layers)], text=hover, textposition="none",
                hovertemplate="%{text}<extra></extra>", marker={"color": fill, "line": {"width": 0}},
                legendgroup=escape(label), showlegend=n == 1, row=n, col=1,
            )  # fmt: skip
        _name_largest(fig, np.where(noise, np.nan, values), n, type_)
        # On a stage a row is lower than its unit is long.
        fig.update_yaxes(title_text=escape(f"{name}, {unit}" if type_.height is None else name), row=n, col=1)
    # A few layers on a wide page: bars, not walls.
    fig.update_layout(barmode="group", bargap=0.2 if layers >= 12 else 0.75 - 0.045 * layers, bargroupgap=0.05)
    fig.update_xaxes(range=[-0.5, layers - 0.5], tick0=0, showgrid=False, zeroline=False)
    fig.update_xaxes(dtick=theme.step(layers, 850 / (2.2 * type_.tick)))
    fig.update_xaxes(title_text="layer", row=len(rows), col=1)
    fig.update_yaxes(
        range=list(span or layer_span(*rows.values())), zeroline=True, zerolinewidth=1.5, zerolinecolor=theme.LINE
    )
    if noise.any():
        fig.add_bar(x=[None], y=[None], name=FAINT_TEXT, marker={"color": theme.FAINT}, row=1, col=1)
    title = title if type_.height is None else f"{title}, {unit}"
    height = (190 if len(rows) == 1 else 120 * len(rows)) * type_.scale
    return theme.frame(fig, title, height, size, subtitle, legend=len(series) > 1 or bool(noise.any()))


def _rest(attribution: Attribution) -> str:
    """What no layer adds, and what everything sums to."""
    parts = [f"embed {_pair(attribution.embed)}"]
    if np.any(attribution.bias):
        parts.append(f"bias {_pair(attribution.bias)}")
    parts.append(f"sum of all {_pair(attribution.total)}")
    return "BASE | INSTRUCT:  " + "  ·  ".join(parts)


def _pair(values: np.ndarray) -> str:
    return " | ".join(number(float(value)) for value in values)


def _hover(name: str, layer: int, values: np.ndarray, series: tuple[str, ...], unit: str) -> str:
    lines = [f"<b>layer {layer}, {escape(name)}</b>"]
    lines += [f"{escape(label)}: {with_unit(float(value), unit)}" for label, value in zip(series, values)]
    if len(series) == 2:
        lines.append(f"{escape(series[1])} − {escape(series[0])}: {with_unit(float(values[1] - values[0]), unit)}")
    return "<br>".join(lines)


def _name_largest(fig: go.Figure, values: np.ndarray, row: int, type_: theme.Size) -> None:
    """The layer with the longest bar, by name: on a wide axis its number is hard to read off."""
    finite = np.nan_to_num(values)
    model, layer = np.unravel_index(np.abs(finite).argmax(), values.shape)
    if value := finite[model, layer]:
        fig.add_annotation(
            x=int(layer), y=float(value), text=f"L{layer}", showarrow=False, yanchor="bottom" if value > 0 else "top",
            font={"size": type_.tick}, row=row, col=1,
        )  # fmt: skip


def layer_span(*rows: np.ndarray) -> theme.Span:
    """What the axes of values must hold: every bar of these (series, layer), zero, and a name beyond the longest."""
    everything = np.nan_to_num(np.concatenate([row.ravel() for row in rows]))
    low, high = min(everything.min(), 0.0), max(everything.max(), 0.0)
    room = 0.14 * (high - low) or 1.0
    return float(low - room), float(high + room)
