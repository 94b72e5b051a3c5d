"""Which sets a circuit card runs: random ones of the same layers, and the subsets that orders of its members pass.

Seeded: the same members give the same draws, on every machine.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product
from math import comb, prod

import numpy as np

from core.patching.members import Members

SETS = 20
ORDERS = 10
FEW = 6  # members, of which every order is looked at: all of their 63 subsets take no more runs than a few orders


def random_sets(members: Members, width: int, count: int = SETS, seed: int = 0) -> tuple[Members, ...]:
    """Distinct sets with as many members in each layer, none of them of the set; fewer where there are no more.

    In a layer of `crowded` others do not suffice: there all columns are drawn from, and only the set itself is out.
    width: how many columns (heads or KV groups) a layer has.
    """
    wanted = Counter(layer for layer, _ in members)
    full = crowded(members, width)
    pools = {
        layer: [column for column in range(width) if layer in full or (layer, column) not in members]
        for layer in sorted(wanted)
    }
    draw = np.random.default_rng(seed)
    if prod(comb(len(pool), wanted[layer]) for layer, pool in pools.items()) <= 4 * count:
        each = [combinations([(layer, column) for column in pool], wanted[layer]) for layer, pool in pools.items()]
        every = [tuple(member for part in parts for member in part) for parts in product(*each)]
        others = [every[n] for n in draw.permutation(len(every)) if every[n] != members]
        return tuple(others[:count])
    found: dict[Members, None] = {}
    while len(found) < count:
        drawn = [
            (layer, int(column))
            for layer, pool in pools.items()
            for column in draw.choice(pool, wanted[layer], replace=False)
        ]
        if (chosen := tuple(sorted(drawn))) != members:
            found[chosen] = None
    return tuple(found)


def crowded(members: Members, width: int) -> tuple[int, ...]:
    """The layers that have fewer other columns than the set has members there."""
    wanted = Counter(layer for layer, _ in members)
    return tuple(layer for layer, count in sorted(wanted.items()) if width - count < count)


def orders(members: Members, count: int = ORDERS, seed: int = 0) -> tuple[Members, ...]:
    """Random ones, all different; none of up to FEW members, of which every order is looked at."""
    if len(members) <= FEW:
        return ()
    draw = np.random.default_rng(seed)
    found: dict[Members, None] = {}
    while len(found) < count:
        found[tuple(members[n] for n in draw.permutation(len(members)))] = None
    return tuple(found)


def sets_known_before(
    members: Members, everything: Members, random: tuple[Members, ...], orders: tuple[Members, ...]
) -> list[Members]:
    """What runs whatever comes out: the set, all heads, all but the set, its subsets, the random sets.

    Subsets: those that the random orders pass, each member alone, and the set without each.
    """
    rest = tuple(member for member in everything if member not in set(members))
    sizes = range(1, len(members)) if len(members) <= FEW else {1, len(members) - 1}
    subsets = [chosen for size in sizes for chosen in combinations(members, size)]
    if len(members) > FEW:
        subsets += [tuple(sorted(order[:k])) for order in orders for k in range(2, len(members) - 1)]
    return list(dict.fromkeys([members, everything, *([rest] if rest else []), *subsets, *random]))


def steps_ahead(members: int, ordered: int = 0) -> int:
    """How many runs there may still be of which nobody knows yet which: those of the greedy order's next steps."""
    left = members - max(1, ordered)
    return 0 if members <= FEW else left * (left - 1) // 2
