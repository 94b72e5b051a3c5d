"""Where the names of points go, so that no name covers another."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from core.charts.labels import escape, width_em
from core.charts.theme import CLEAR, LINE, Size

# Right above, left above, right below, left below, straight above, straight below; then the same farther out.
_SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1.6), (0, -1.6))
_RINGS = (1, 2.6, 4.2, 5.8)

# The plot area that collisions are judged in, in px: that of a narrow page, where names are most crowded.
_PAGE = 420.0


def name_points(
    fig: go.Figure,
    points: Sequence[tuple[float, float, str]],
    spans: tuple[float, float],
    height: float,
    type_: Size,
    colours: Sequence[str] | None = None,
    width: float = _PAGE,
) -> None:
    """Write a name beside each (x, y, name), in order of importance; a thin line leads to a name that had to move away.

    spans: extents of the x and y axes; height, width: of the plot area, in px. colours: of the names, else the page's.
    """
    taken: list[tuple[float, float, float, float]] = []
    for n, (x, y, name) in enumerate(points):
        label = escape(name)
        wide, tall = width_em(label) * type_.tick, 1.25 * type_.tick
        at = (x / spans[0] * width, y / spans[1] * height)
        shift, box, far = _free_place(at, wide, tall, taken)
        taken.append(box)
        font = {"size": type_.tick} | ({"color": colours[n]} if colours else {})
        fig.add_annotation(
            x=x, y=y, text=label, font=font, ax=shift[0], ay=-shift[1], showarrow=True, arrowhead=0,
            arrowwidth=1, arrowcolor=LINE if far else CLEAR, standoff=4,
        )  # fmt: skip


def _free_place(at, wide: float, tall: float, taken) -> tuple[tuple[float, float], tuple, bool]:
    """The first place around a point that no name has: (shift of the name's centre, its box, whether far away)."""
    for ring in _RINGS:
        for side in _SIDES:
            shift = (side[0] * (wide / 2 + 5), side[1] * (0.5 * tall * ring + 3))
            x, y = at[0] + shift[0], at[1] + shift[1]
            box = (x - wide / 2, x + wide / 2, y - tall / 2, y + tall / 2)
            if not any(_overlap(box, other) for other in taken):
                return shift, box, ring > 1
    return shift, box, True


def _overlap(a, b) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
