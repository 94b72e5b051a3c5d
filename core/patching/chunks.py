"""Which rows of a plan run together: those that begin late in the prompt first, and among them the deepest layers.

A row begins at the first position that it patches: before it, in every layer, everything is the recipient's own. Within
a chunk all rows run from where the first of them begins, which wastes tokens; every chunk takes some time for itself.
"""

from __future__ import annotations

from collections.abc import Callable

from core.patching.plan import Row


def lowest(row: Row) -> int:
    """The layer in which a row joins the batch."""
    return min(patch.layer for patch in row)


def beginning(row: Row) -> int:
    """The first position that a row patches."""
    return min(min(patch.positions, default=0) for patch in row)


def chunks(
    rows: list[Row], size: Callable[[int], int], waste: int, begins: Callable[[Row], int] = beginning
) -> list[list[int]]:
    """Indices of the rows; in a chunk they stand in order of joining.

    size: of a chunk that begins at a position, at most. waste: tokens that rows of a chunk run before their own first.
    """
    first, layer = [begins(row) for row in rows], [lowest(row) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (-first[i], -layer[i]))
    made: list[list[int]] = []
    wasted = 0
    for i in order:
        if made:
            wasted += len(made[-1]) * (first[made[-1][-1]] - first[i])
        if not made or len(made[-1]) >= size(first[i]) or wasted > waste:
            made.append([])
            wasted = 0
        made[-1].append(i)
    return [sorted(chunk, key=lambda i: -layer[i])[::-1] for chunk in made]
