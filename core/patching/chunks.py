"""Which rows of a plan run together: those that begin late in the prompt first, and among them the deepest layers.

A row begins at the first position that it patches: before it, in every layer, everything is the recipient's own.
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


def chunks(rows: list[Row], size: Callable[[int], int], begins: Callable[[Row], int] = beginning) -> list[list[int]]:
    """Indices of the rows; in a chunk they stand in order of joining.

    size: of a chunk that begins at a position, at most. A chunk begins where the first of its rows does.
    """
    order = sorted(range(len(rows)), key=lambda i: (-begins(rows[i]), -lowest(rows[i])))
    made: list[list[int]] = []
    for i in order:
        if not made or len(made[-1]) >= size(begins(rows[i])):
            made.append([])
        made[-1].append(i)
    return [sorted(chunk, key=lambda i: -lowest(rows[i]))[::-1] for chunk in made]
