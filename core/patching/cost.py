"""What a plan will cost, known before it starts: the tokens that each row runs times the layers that it runs them in.

A row runs from its lowest patch up and from its first position on (`core.patching.growing_pass`). On one machine and
one pair a token in a layer takes about as long in every plan, a weight patch somewhat longer. Nothing here knows torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np

from core.patching import draws
from core.patching.chunks import beginning, lowest
from core.patching.members import checked_members
from core.patching.path_results import PARTS
from core.patching.plan import (
    WEIGHT_SITES,
    Direction,
    Row,
    Shape,
    cell,
    pair_rows,
    position_rows,
    positions_of,
    set_row,
    sweep_rows,
)
from core.patching.senders import senders


@dataclass(frozen=True)
class Cost:
    """parts: (part,) in token-layers, a row or a step each, as its plan counts them.

    exact: whether those are what will run; else no more than that will.
    """

    parts: np.ndarray
    exact: bool = True


def of_rows(rows: Iterable[Row], shape: Shape) -> Cost:
    each = [(shape.layers - lowest(row)) * (shape.positions - beginning(row)) for row in rows]
    return Cost(np.array(each, float))


def of_sweep(shape: Shape, site: str, positions: str | int, **others: object) -> Cost:
    """Of weights no more than that: equal ones are left alone."""
    parts = of_rows(sweep_rows(site, positions_of(positions, shape), shape), shape).parts
    return Cost(parts, exact=site not in WEIGHT_SITES)


def of_position_map(shape: Shape, site: str, **others: object) -> Cost:
    return of_rows(position_rows(site, shape), shape)


def of_pairs(
    shape: Shape, members: tuple[tuple[int, int], ...], site: str, positions: str | int, **others: object
) -> Cost:
    return of_rows(pair_rows(list(members), site, positions_of(positions, shape), shape), shape)


def of_greedy(shape: Shape, steps: int, site: str, positions: str | int, candidates: int, **others: object) -> Cost:
    """Sets of up to `steps` of the best single heads, where no step ends it: each runs from the first layer on."""
    pool = min(candidates, shape.layers * shape.width(site))
    lowest_patch = cell(site, 0, 0, positions_of(positions, shape), shape)
    sets = sum(pool - step for step in range(1, min(steps, pool)))
    return Cost(of_rows([(lowest_patch,)] * sets, shape).parts, exact=False)


def of_card(
    shape: Shape, members: tuple[tuple[int, int], ...], site: str, positions: str | int, **others: object
) -> Cost:
    """No more than that: what a sweep has said of single members need not run again."""
    chosen, width, places = checked_members(members, site, shape), shape.width(site), positions_of(positions, shape)
    everything = tuple(product(range(shape.layers), range(width)))
    known = draws.sets_known_before(chosen, everything, draws.random_sets(chosen, width), draws.orders(chosen))
    # Behind them the mirror, the set's weights, and what the two other orders pass.
    later = 2 + (0 if len(chosen) <= draws.FEW else len(chosen) + draws.steps_ahead(len(chosen)))
    rows = [set_row(each, site, places, shape) for each in [*known, *[chosen] * later]]
    return Cost(of_rows(rows, shape).parts, exact=False)


def of_paths(shape: Shape, layer: int, **others: object) -> Cost:
    """Into one head: each row runs from the receiver's layer on."""
    rows = len(PARTS) * len(senders(layer, shape))
    return Cost(np.full(rows, float((shape.layers - layer) * shape.positions)))


def of_early_late(shape: Shape) -> Cost:
    """No more than that: what is known of one direction need not run again."""
    parts = of_rows(sweep_rows("resid_pre", (), shape), shape).parts
    return Cost(np.concatenate([parts, parts]), exact=False)


def of_blocks(shape: Shape, direction: Direction) -> Cost:
    """The search for the smallest block of layers: at no step does it cost more than with the shortest blocks."""
    step = of_rows(sweep_rows("w_layer", (), shape), shape).parts.sum()
    return Cost(np.full(int(np.ceil(np.log2(shape.layers + 1))), step), exact=False)
