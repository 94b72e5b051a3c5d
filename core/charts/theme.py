"""How every figure looks: colours, colour scales, type sizes, and the frame of title, legend and margins.

Figures are shown on light and dark pages, so backgrounds are transparent and no text has a colour of its own: the
page's theme gives it one. What depends on the page is `on_page`'s: zero has the page's own colour. Sizes of text are
set on every element, since a page's theme sets its own default. Heights are in pixels and add up from the rows of the
frame; widths are the page's (900 px and more). On a stage the whole figure's height is given instead, and its axes
have what the frame leaves; a subtitle has no room there, and where two experiments are compared a legend has no row of
its own: it stands in the title's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import plotly.graph_objects as go

from core.charts.axes import Part, at
from core.charts.figure import Figure, parts
from core.charts.labels import escape, width_em
from core.prompt import role_names

SizeName = str  # of SIZES
Span = tuple[float, float]  # where an axis of values begins and ends

# Told apart in every common colour blindness, and at contrast 3 or more on white and on near-black.
BASE = "#2b83c6"
INSTRUCT = "#e0701a"
ANSWER = "#2e9b57"
ORIGINAL = "#9b5dba"
MUTED = "#8a8f98"
SERIES = ("#16998c", "#c2527a", "#b8860b", "#9b5dba", "#8a8f98")
LINE = "rgba(128,134,145,0.75)"
PENDING = "rgba(128,134,145,0.22)"
FAINT = "#9aa0aa"
CLEAR = "rgba(0,0,0,0)"

# Purple, near-white at zero, green: neither end is a model's colour. Green is towards the answer.
DIVERGING = [
    [0.0, "#40004b"], [0.1, "#762a83"], [0.2, "#9970ab"], [0.3, "#c2a5cf"], [0.4, "#e7d4e8"], [0.5, "#f7f7f7"],
    [0.6, "#d9f0d3"], [0.7, "#a6dba0"], [0.8, "#5aae61"], [0.9, "#1b7837"], [1.0, "#00441b"],
]  # fmt: skip
SEQUENTIAL = [
    [0.0, "#f7fcf0"], [0.125, "#e0f3db"], [0.25, "#ccebc5"], [0.375, "#a8ddb5"], [0.5, "#7bccc4"],
    [0.625, "#4eb3d3"], [0.75, "#2b8cbe"], [0.875, "#0868ac"], [1.0, "#084081"],
]  # fmt: skip

# The same on a dark page, whose background is zero: the farther, the lighter.
PAGE_DARK = "#12161c"
FAINT_DARK = "#474e59"
DIVERGING_DARK = [
    [0.0, "#e3b8f7"], [0.1, "#b57fd1"], [0.2, "#8a58a6"], [0.3, "#5c3c70"], [0.4, "#33283f"], [0.5, PAGE_DARK],
    [0.6, "#1b3325"], [0.7, "#27583a"], [0.8, "#378a53"], [0.9, "#5fbd73"], [1.0, "#a6eaa5"],
]  # fmt: skip
SEQUENTIAL_DARK = [
    [0.0, PAGE_DARK], [0.125, "#15303f"], [0.25, "#17506a"], [0.375, "#1d7397"], [0.5, "#2f9ac0"],
    [0.625, "#62c3d9"], [0.75, "#a5e3e6"], [1.0, "#d8f7ee"],
]  # fmt: skip
# Grey letters at contrast 4.5 and more on a light page, and on a dark one.
QUIET = ("#5f6773", "#9aa0aa")

# A line at zero, of an axis of values.
ZERO = {"zeroline": True, "zerolinecolor": LINE}
# Hovering says a point's text, and nothing else.
SAID = "%{text}<extra></extra>"

LOGITS = "logits"
SCORE = "patch score"
ATTENTION = "attention"


@dataclass(frozen=True)
class Size:
    """Type sizes in px; `scale` is what lengths in px grow by; height: of the whole figure, where that is given; width:
    at least of its axes."""

    title: float
    text: float
    tick: float
    scale: float
    height: float | None = None
    width: float = 850


STAGE_HEIGHT = 400  # of the one figure on a screen of 720
BESIDE_HEIGHT = 310  # where it is of two experiments, whose words stand above it
_ON_STAGE = {"large": Size(24, 19, 17, 1.45, STAGE_HEIGHT), "beside": Size(20, 17, 15, 1.2, BESIDE_HEIGHT)}
EIGHTHS = range(8, 33)  # of the screen that the stage is laid out for: how large the one may be that it is shown on


def on_screen_of(name: str, eighths: int) -> SizeName:
    """The size of a figure on a screen so much larger."""
    return f"{name}, {eighths}/8"


def _enlarged(size: Size, by: float) -> Size:
    return Size(*(round(by * length, 2) for length in astuple(size)))


SIZES: dict[SizeName, Size] = {
    "normal": Size(16, 13, 12, 1.0),
    **_ON_STAGE,
    **{
        on_screen_of(name, eighths): _enlarged(size, eighths / 8)
        for name, size in _ON_STAGE.items()
        for eighths in EIGHTHS
    },
}

_TEMPLATE = {"layout": {"colorway": [BASE, INSTRUCT, *SERIES]}}


def frame(
    traces: Sequence[Part],
    layout: Part,
    title: str,
    plot_height: float,
    size: SizeName = "normal",
    subtitle: str = "",
    legend: bool = False,
    headings: bool = False,
    bottom: float = 0,
    right: float = 0,
) -> Figure:
    """The figure of these traces, with its title, legend row, type sizes and margins.

    layout: its axes, and whatever else this does not set. title, subtitle: escaped here. plot_height: of the axes' area
    in px. headings: whether titles stand above panels. bottom: what tick labels and axis title need below, in px (0:
    one row of ticks and a title); right likewise.
    """
    type_ = SIZES[size]
    subtitle = subtitle if type_.height is None else ""
    title_row = 1.5 * type_.title + (1.8 * type_.tick if subtitle else 0)
    in_title = _in_title(size)
    top, bottom = _margins(type_, title_row, legend and not in_title, headings, bottom)
    left = _left(layout.get("yaxis", {}), traces, type_)
    height = type_.height or top + plot_height + bottom
    heading: Part = {"text": escape(title), "font": {"size": type_.title}, "x": 0, "xanchor": "left"}
    heading |= {"yref": "container", "y": 1 - 6 / height, "yanchor": "top"}
    if subtitle:
        heading["subtitle"] = {"text": escape(subtitle), "font": {"size": type_.tick}}
    framed = {
        "template": _TEMPLATE,
        "title": heading,
        "height": round(height),
        "font": {"size": type_.text},
        "margin": {"t": top, "b": bottom, "l": left, "r": max(right, 12), "pad": 4},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "hoverlabel": {"font": {"size": type_.text}, "align": "left"},
        "showlegend": legend,
        "legend": {"orientation": "h", "yref": "container", "yanchor": "top", "font": {"size": type_.tick}}
        | ({"x": 1, "xanchor": "right"} if in_title else {"x": 0, "xanchor": "left"})
        | {"y": 1 - (6 + (0 if in_title else title_row)) / height}
        | {"itemclick": False, "itemdoubleclick": False},
        "hovermode": "closest",
        "dragmode": False,
    }
    axes = {name: _sized(axis, type_) for name, axis in layout.items() if name.startswith(("xaxis", "yaxis"))}
    # The tests have Plotly check every figure that they see.
    return Figure(list(traces), {**layout, **framed, **axes})


def _in_title(size: SizeName) -> bool:
    """Whether a legend stands beside the title."""
    return size.partition(",")[0] == "beside"


def _sized(axis: Part, type_: Size) -> Part:
    """An axis with its type sizes, where it says nothing of them itself."""
    title = {**axis.get("title", {}), "font": {"size": type_.text}, "standoff": 0.7 * type_.text}
    # Margins give every label room. Looking for those without would measure each, one after the other.
    ours = {"tickfont": {"size": type_.tick}, "automargin": True, "ticklabeloverflow": "allow"}
    return {**ours, **axis, "title": title}


def _left(axis: Part, traces: Sequence[Part], type_: Size) -> float:
    """What the first y axis needs left of it, in px: a figure whose labels find no room is drawn once more.

    A map's rows are numbers from 0, other labels are given, and those of an axis of values are as wide as most.
    """
    named = axis.get("ticktext") or [y for trace in traces for y in trace.get("y", ()) if isinstance(y, str)]
    rows = [str(len(trace["z"]) - 1) for trace in traces if trace.get("type") == "heatmap"]
    lines = [line for label in named or rows or ["−0.00"] for line in label.split("<br>")]
    widest = max(width_em(line) * (1.4 if line.isupper() else 1) for line in lines)
    return round(widest * type_.tick + 10 + (2 * type_.text if axis.get("title", {}).get("text") else 0))


def _margins(type_: Size, title_row: float, legend: bool, headings: bool, bottom: float) -> tuple[float, float]:
    """What the frame takes above the axes and below them."""
    legend_row = 1.9 * type_.tick if legend else 0
    top = 6 + title_row + legend_row + (1.8 * type_.text if headings else 0.8 * type_.text)
    return top, bottom or 1.8 * type_.tick + 2.2 * type_.text


def plot_height(
    wanted: float, size: SizeName, legend: bool = False, headings: bool = False, bottom: float = 0
) -> float:
    """What the axes' area has in px: `wanted`, or what the frame leaves of a height that is given. See `frame`."""
    type_ = SIZES[size]
    return (
        wanted
        if type_.height is None
        else type_.height - sum(_margins(type_, 1.5 * type_.title, legend and not _in_title(size), headings, bottom))
    )


def with_room(span: Span, share: float, bare: float = 1.0) -> Span:
    """The axis of bars from zero that span so much, with that share of it beyond them for numbers.

    bare: how much of the room there is on a side without bars.
    """
    low, high = span
    room = share * (high - low) or 1.0
    return low - (room if low < 0 else bare * room), high + (room if high > 0 else bare * room)


def union(span: Span, other: Span | None) -> Span:
    """The span that holds both."""
    return span if other is None else (min(span[0], other[0]), max(span[1], other[1]))


def on_page(fig: go.Figure, dark: bool) -> Figure:
    """The figure as a light or a dark page shows it; the one that is given may be either's, and stays."""
    made = parts(fig)
    layout, colours = made["layout"], made["layout"].get("coloraxis", {})
    if colours.get("colorscale"):
        scales = (DIVERGING, DIVERGING_DARK) if colours["cmin"] < 0 else (SEQUENTIAL, SEQUENTIAL_DARK)
        layout = {**layout, "coloraxis": {**colours, "colorscale": scales[dark]}}
    return Figure([_on_page(trace, dark) for trace in made["data"]], layout)


def _on_page(trace: Part, dark: bool) -> Part:
    """A trace with the page's own grey in place of the other's."""
    other, grey = (FAINT, FAINT_DARK) if dark else (FAINT_DARK, FAINT)
    scale, marker = trace.get("colorscale"), trace.get("marker", {})
    if trace["type"] == "heatmap" and scale and scale[0][1] == other:
        return {**trace, "colorscale": [[0, grey], [1, grey]]}
    if trace["type"] == "scatter" and marker.get("symbol") == "square" and marker.get("color") == other:
        return {**trace, "marker": {**marker, "color": grey}}
    return trace


def headings(titles: Sequence[str], size: SizeName) -> list[Part]:
    """Annotations: a title above each panel of a row, centred."""
    font = {"size": SIZES[size].text}
    above = {"x": 0.5, "y": 1, "yanchor": "bottom", "yshift": 3, "showarrow": False, "font": font}
    return [{"text": escape(title), **at(panel, " domain"), **above} for panel, title in enumerate(titles)]


def colour_bar(unit: str, size: SizeName) -> Part:
    """The one colour bar of a figure, as tall as its panels."""
    type_ = SIZES[size]
    return {
        "title": {"text": escape(unit), "side": "top", "font": {"size": type_.text}},
        "tickfont": {"size": type_.tick},
        "thickness": 12 * type_.scale,
        "len": 1,
        "y": 0.5,
        "xpad": 12,
        "nticks": 6,
        "outlinewidth": 0,
    }


def tick_row(labels: list[str], size: SizeName, title: bool = True) -> float:
    """Height in px that vertical tick labels need, with or without an axis title."""
    type_ = SIZES[size]
    return max(map(width_em, labels), default=1) * type_.tick + (2.6 if title else 1) * type_.text


def token_axis(labels: list[str], roles: Mapping[str, int | None], size: SizeName) -> tuple[Part, list[str]]:
    """An x axis that names its positions by escaped tokens, those with a role in bold; and the labels shown.

    Positions, not strings, are the axis: tokens repeat. Where there is no room for all, roles keep their labels.
    """
    marked = {position for position in roles.values() if position is not None}
    every = step(len(labels), SIZES[size].width / (1.1 * SIZES[size].tick))
    near = {m + d for m in marked for d in range(1 - every, every)}
    ticks = [i for i in range(len(labels)) if i in marked or (i % every == 0 and i not in near)]
    shown = [f"<b>{labels[i]}</b>" if i in marked else labels[i] for i in ticks]
    return {"tickvals": ticks, "ticktext": shown, "tickangle": -90}, [labels[i] for i in ticks]


def level(value: float) -> Part:
    """A shape: a dotted line across the first panel, at a value of its y axis."""
    line = {"color": LINE, "dash": "dot"}
    return {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": value, "y1": value, "yref": "y", "line": line}


def role_of(position: int, roles: Mapping[str, int | None]) -> str:
    """The roles of a position for hovering, ` (END, original)`, or nothing."""
    names = [name.upper() if name in ("end", "bos") else name for name in role_names(roles, position)]
    return f" ({escape(', '.join(names))})" if names else ""


def step(count: int, room: float) -> int:
    """Every how many cells a tick is labelled, when there is room for `room` labels."""
    return next((s for s in (1, 2, 4, 5, 8, 10, 16, 20, 32) if count <= s * room), 64)
