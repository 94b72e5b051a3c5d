"""Where the names of points go, so that no name covers another, nor a point that it does not name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.charts.axes import Part
from core.charts.labels import escape, width_em
from core.charts.theme import CLEAR, LINE, Size

# Right above, left above, right below, left below, straight above, straight below; then the same farther out.
_SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1.6), (0, -1.6))
_RINGS = (1, 2.6, 4.2, 5.8)

# The plot area that collisions are judged in, in px: that of a narrow page, where names are most crowded.
_PAGE = 420.0
_DOT = 4.0  # half a point's width, in px

Box = tuple[float, float, float, float]  # left, right, bottom, top


def name_points(
    points: Sequence[tuple[float, float, str]],
    spans: tuple[float, float],
    height: float,
    type_: Size,
    width: float = _PAGE,
    marks: Sequence[tuple[float, float]] = (),
    origin: tuple[float, float] | None = None,
) -> list[Part]:
    """Annotations: a name beside each (x, y, name), in order of importance; a thin line leads to one that had to move.

    spans: extents of the x and y axes; height, width: of the plot area, in px. marks: every point drawn; names keep
    clear of them where there is room. origin: where the axes begin, for names that are to stay within the plot.
    """

    def pixels(x: float, y: float) -> tuple[float, float]:
        left, bottom = origin or (0.0, 0.0)
        return (x - left) / spans[0] * width, (y - bottom) / spans[1] * height

    dots = [(x - _DOT, x + _DOT, y - _DOT, y + _DOT) for x, y in (pixels(*mark) for mark in marks)]
    taken: list[Box] = []
    names: list[Part] = []
    for x, y, text in points:
        label = escape(text)
        wide, tall = width_em(label) * type_.tick, 1.25 * type_.tick
        places = list(_places(pixels(x, y), wide, tall))
        if origin:
            places = [place for place in places if _inside(place[1], width, height)] or places
        free = [place for place in places if not any(_overlap(place[1], other) for other in taken)] or places[-1:]
        clear = [place for place in free if not any(_overlap(place[1], dot) for dot in dots)] or free
        shift, box, far = clear[0]
        taken.append(box)
        name = {"x": x, "y": y, "text": label, "font": {"size": type_.tick}, "ax": shift[0], "ay": -shift[1]}
        arrow = {"showarrow": True, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": LINE if far else CLEAR}
        names.append({**name, **arrow, "standoff": 4})
    return names


def _places(at: tuple[float, float], wide: float, tall: float) -> Iterator[tuple[tuple[float, float], Box, bool]]:
    """Places around a point, best first: (shift of the name's centre, its box, whether far away)."""
    for ring in _RINGS:
        for side in _SIDES:
            shift = (side[0] * (wide / 2 + 5), side[1] * (0.5 * tall * ring + 3))
            x, y = at[0] + shift[0], at[1] + shift[1]
            yield shift, (x - wide / 2, x + wide / 2, y - tall / 2, y + tall / 2), ring > 1


def _inside(box: Box, width: float, height: float) -> bool:
    return box[0] >= 0 and box[1] <= width and box[2] >= 0 and box[3] <= height


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
