"""Figures of a circuit card: what the set moves beside random sets, what each member adds, and the recovery curves.

Pure functions of `core.patching.card_results`: of scores, or of effects in logits where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part
from core.charts.labels import escape, with_unit
from core.charts.points import remark
from core.patching.card_results import CURVES, Amount, Card, Curves
from core.patching.members import name_of
from core.wording import unsigned

_HEIGHT = 240
_ORDERS = {"single": "by single score", "greedy": "greedy", "random": "random, mean"}
_COLOURS = {"single": theme.SERIES[3], "greedy": theme.SERIES[0], "random": theme.MUTED}
_BAND = "rgba(138,143,152,0.25)"


def card_bars(card: Card, in_logits: bool = False, size: theme.SizeName = "normal") -> go.Figure:
    """The set there and back, all others, all; what was changed and carried; the range of the random sets as a band.

    Effects of the way back are turned around, so that upwards is towards the donor in every bar.
    """
    unit, type_ = _unit(card, in_logits), theme.SIZES[size]
    back = card.necessity
    if unit == theme.LOGITS:
        back = Amount(-back.effect, back.score, back.noise_floor)
    bars = [
        ("F(S)", "sufficiency: the set into BASE", card.sufficiency, theme.SERIES[0]),
        ("N(S)", "necessity: the set into INSTRUCT", back, theme.SERIES[0]),
        ("all but S", "all heads but the set, into BASE", card.all_but, theme.MUTED),
        ("all", "all heads, into BASE", card.all, theme.MUTED),
    ]
    if card.weights is not None and card.carried is not None:
        bars.append(("changed", "the set's own changed weights, into BASE", card.weights, theme.INSTRUCT))
        bars.append(("carried", "sufficiency − changed", card.carried, theme.SERIES[3]))
    layout = _layout(unit, [name for name, *_ in bars])
    chance = np.array([_value(amount, unit) for amount in card.by_chance])
    if np.isfinite(chance).any():
        low, high = float(np.nanmin(chance)), float(np.nanmax(chance))
        band = {"type": "rect", "x0": 0, "x1": 1, "xref": "x domain", "y0": low, "y1": high, "yref": "y"}
        layout["shapes"] = [{**band, "fillcolor": _BAND, "line": {"width": 0}, "layer": "below"}]
    traces = [_bars(bars, unit)]
    return theme.frame(traces, layout, "What the set moves, and random sets (band)", _HEIGHT * type_.scale, size)


def minimality_bars(card: Card, in_logits: bool = False, size: theme.SizeName = "normal") -> go.Figure:
    """F(S) − F(S∖h) of each member, customdata [layer, column]; grey within the noise of both runs."""
    unit, type_ = _unit(card, in_logits), theme.SIZES[size]
    bars = []
    for member, amount in card.minimality.items():
        name = name_of(member, card.site)
        colour = theme.FAINT if amount.within_noise else theme.SERIES[0]
        bars.append((name, f"{name}: the set with it − the set without", amount, colour))
    trace = {**_bars(bars, unit), "customdata": [list(member) for member in card.members]}
    names = [name for name, *_ in bars]
    turned = len(names) > 8
    layout = {**_layout(unit, names, -45 if turned else 0), "clickmode": "event+select"}
    bottom = theme.tick_row(names, size, title=False) if turned else 0
    return theme.frame(
        [trace], layout, "What each member adds to the others", _HEIGHT * type_.scale, size, bottom=bottom
    )


def recovery_curves(card: Card, in_logits: bool = False, size: theme.SizeName = "normal") -> go.Figure:
    """F of the first k members in each order, with its area; the range of the random orders as a band."""
    unit, type_ = _unit(card, in_logits), theme.SIZES[size]
    curves = card.curves(in_logits)
    steps = np.arange(len(card.members) + 1)
    ran = np.isfinite(curves.low) & np.isfinite(curves.high)
    around = {"x": [*steps[ran].tolist(), *steps[ran][::-1].tolist()]}
    around |= {"y": [*curves.high[ran].tolist(), *curves.low[ran][::-1].tolist()]}
    band = {"type": "scatter", "mode": "lines", "fill": "toself", "fillcolor": _BAND, "line": {"width": 0}}
    traces = [{**around, **band, "name": "random, range", "hoverinfo": "skip"}]
    traces += [_curve(curves, name, unit, type_) for name in CURVES]
    layout: Part = {
        "xaxis": {"title": {"text": "members patched together"}, "tick0": 0, "zeroline": False}
        | {"dtick": theme.step(len(steps), 400 / (2.2 * type_.tick)), "range": [-0.2, float(steps[-1]) + 0.2]},
        "yaxis": {"title": {"text": escape(unit)}, **theme.ZERO, "rangemode": "tozero"},
    }
    if unit == theme.SCORE:
        layout["shapes"] = [theme.level(1.0)]
    return theme.frame(traces, layout, "Recovery, by the order of the members", 260 * type_.scale, size, legend=True)


def _curve(curves: Curves, name: str, unit: str, type_: theme.Size) -> Part:
    values, area = curves.values[name], curves.areas[name]
    added = ["no member", *(f"+ {member}" for member in curves.names[name])]
    added += [f"{n} {'member' if n == 1 else 'members'}" for n in range(len(added), len(values))]
    label = _ORDERS[name] + ("" if np.isnan(area) else f", area {unsigned(area)}")
    return {
        "type": "scatter", "x": list(range(len(values))), "y": [None if np.isnan(v) else float(v) for v in values],
        "name": escape(label), "mode": "lines+markers", "hovertemplate": theme.SAID,
        "text": [
            f"<b>{n}: {escape(said)}</b><br>{_ORDERS[name]}: {with_unit(float(v), unit)}"
            for n, (said, v) in enumerate(zip(added, values))
        ],
        "line": {"color": _COLOURS[name], "width": 2.5, "dash": "dot" if name == "random" else "solid"},
        "marker": {"size": 6 * type_.scale}, "cliponaxis": False,
    }  # fmt: skip


def _bars(bars: Sequence[tuple[str, str, Amount, str]], unit: str) -> Part:
    """(name, what it is, how much, colour) of each."""
    heights = [_value(amount, unit) for _, _, amount, _ in bars]
    return {
        "type": "bar", "x": list(range(len(bars))), "y": [None if np.isnan(v) else v for v in heights],
        "text": [
            f"<b>{escape(name)}</b><br>{escape(said)}<br>{with_unit(value, unit)}{remark(amount.within_noise)}"
            for (name, said, amount, _), value in zip(bars, heights)
        ],
        "textposition": "none", "hovertemplate": theme.SAID, "showlegend": False,
        "marker": {"color": [colour for *_, colour in bars], "line": {"width": 0}},
    }  # fmt: skip


def _layout(unit: str, names: Sequence[str], angle: int = 0) -> Part:
    ticks = {"tickvals": list(range(len(names))), "ticktext": [escape(name) for name in names], "tickangle": angle}
    return {
        "xaxis": {**ticks, "range": [-0.6, len(names) - 0.4], "showgrid": False, "zeroline": False},
        "yaxis": {"title": {"text": escape(unit)}, **theme.ZERO},
        "bargap": 0.45,
    }


def _unit(card: Card, in_logits: bool) -> str:
    return theme.LOGITS if in_logits or card.gap.reason else theme.SCORE


def _value(amount: Amount, unit: str) -> float:
    return amount.effect if unit == theme.LOGITS else amount.score
