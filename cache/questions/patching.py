"""Questions of cross-model patching: sweeps and what is built on them, in the worker's thread.

Each publishes what has run so far after every chunk. Within a chunk a job can only stop: its hooks are on the bridge
then, and another job would run through them. Between two chunks it also gives way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cache.pace import Ahead
from cache.questions.work import Work
from core.patching.card_results import Card
from core.patching.origin_results import Block, EarlyLate, WeightNorms
from core.patching.path_results import Paths
from core.patching.plan import DIRECTIONS, DONOR, Direction
from core.patching.results import Estimate, Greedy, Pairs, PositionMap, Sets, Sweep

Positions = str | int
NAMES = {"instruct_to_base": "INSTRUCT → BASE", "base_to_instruct": "BASE → INSTRUCT"}


def estimate(work: Work, site: str, direction: Direction) -> Estimate:
    from core.patching.estimate import estimate

    return estimate(work.runs.recordings, work.runs.prompt, (site,), direction)[site]


def sweep(
    work: Work,
    site: str,
    direction: Direction,
    positions: Positions,
    source: str = DONOR,
    frozen_patterns: bool = False,
) -> Sweep:
    """source: DONOR, or CARRIED for what the own weights make of the donor's streams.

    frozen_patterns, here and below: an option that is left out where it is off, so that answers kept before it was
    there are found.
    """
    from core.patching.sweeps import sweep

    given = work.runs.recordings, work.runs.prompt
    watched = _watched(work, f"{site} patches {NAMES[direction]}", frozen_patterns) | _resumed(work)
    return sweep(*given, site, direction, positions, source, **watched)


def early_late(work: Work) -> EarlyLate:
    """The maps of resid_pre are taken from the kept answers where they are there."""
    from core.patching.origin import early_late

    plan = {"site": "resid_pre", "positions": "all"}
    there, back = (work.earlier.known("sweep", direction=direction, **plan) for direction in DIRECTIONS)
    watched = _watched(work, "early layers of one model, late ones of the other")
    return early_late(work.runs.recordings, work.runs.prompt, there=there, back=back, **watched)


def smallest_block(work: Work, direction: Direction) -> Block:
    """Of layers whose weights give most of the gap."""
    from core.patching.origin import smallest_block

    watched = _watched(work, f"weights of blocks of layers {NAMES[direction]}") | _resumed(work)
    return smallest_block(work.runs.recordings, work.runs.prompt, direction, **watched)


def weight_norms(work: Work) -> WeightNorms:
    """Of the models alone, whatever they read."""
    from core.patching.weight_norms import weight_norms

    work.ctx.progress(0, 0, "comparing the weights of both models")
    return weight_norms(work.pair.base, work.pair.instruct)


def position_map(work: Work, site: str, direction: Direction, frozen_patterns: bool = False) -> PositionMap:
    from core.patching.sweeps import position_map

    message = f"{site} patches {NAMES[direction]}, one position at a time"
    watched = _watched(work, message, frozen_patterns) | _resumed(work)
    return position_map(work.runs.recordings, work.runs.prompt, site, direction, **watched)


def pairs(
    work: Work,
    members: tuple[tuple[int, int], ...],
    site: str,
    direction: Direction,
    positions: Positions,
    frozen_patterns: bool = False,
) -> Pairs:
    from core.patching.sweeps import patch_pairs

    message = f"{site} patches {NAMES[direction]}, one and two at a time"
    watched = _watched(work, message, frozen_patterns) | _resumed(work)
    return patch_pairs(work.runs.recordings, work.runs.prompt, members, site, direction, positions, **watched)


def head_set(
    work: Work,
    members: tuple[tuple[int, int], ...],
    site: str,
    direction: Direction,
    positions: Positions,
    frozen_patterns: bool = False,
) -> Sets:
    """All members patched at once."""
    from core.patching.sweeps import patch_sets

    watched = _watched(work, f"{site} patches {NAMES[direction]}, a set at once", frozen_patterns)
    return patch_sets(work.runs.recordings, work.runs.prompt, [members], site, direction, positions, **watched)


def greedy(
    work: Work, steps: int, site: str, direction: Direction, positions: Positions, frozen_patterns: bool = False
) -> Greedy:
    """The sweep that ranks the heads is taken from the kept answers where it is there."""
    from core.patching.greedy import greedy
    from core.patching.sweeps import sweep

    given = work.runs.recordings, work.runs.prompt
    plan = {"site": site, "direction": direction, "positions": positions} | frozen(frozen_patterns)
    singles = work.earlier.known("sweep", **plan)
    if singles is None:
        message = f"{site} patches {NAMES[direction]}, to rank the heads"
        ranking = _watched(work, message, frozen_patterns, publish=False)
        singles = sweep(*given, site, direction, positions, **ranking)
    watched = _watched(work, f"{site} patches {NAMES[direction]}, sets that grow", frozen_patterns)
    return greedy(*given, steps, site, direction, positions, singles=singles, **watched)


def card(work: Work, members: tuple[tuple[int, int], ...], site: str, positions: Positions) -> Card:
    """Of a set, both directions; what each member does alone is taken from the kept sweep where it is there."""
    from core.patching.card import card

    singles = work.earlier.known("sweep", site=site, direction="instruct_to_base", positions=positions)
    watched = _watched(work, f"the circuit card of {len(members)} {'member' if len(members) == 1 else 'members'}")
    return card(work.runs.recordings, work.runs.prompt, members, site, positions, singles=singles, **watched)


def paths(work: Work, layer: int, head: int, direction: Direction, alone: bool) -> Paths:
    """What reaches a head's q, k and v from every sender below it; alone: its k and v without its group's others."""
    from core.patching.paths import paths

    watched = _watched(work, f"paths into L{layer}H{head} {NAMES[direction]}") | _resumed(work)
    return paths(work.runs.recordings, work.runs.prompt, layer, head, direction, alone, **watched)


def frozen(frozen_patterns: bool) -> dict[str, bool]:
    """The option of a plan with frozen patterns, of any other none."""
    return {"frozen_patterns": True} if frozen_patterns else {}


def _watched(work: Work, message: str, frozen_patterns: bool = False, publish: bool = True) -> dict[str, Any]:
    """What ties a plan's chunks to the job: progress, partial results, giving way between them, stopping within.

    publish: False for a plan that only precedes the question's own.
    """
    message += ", patterns frozen" if frozen_patterns else ""
    ahead = _ahead(work) if publish else None

    def progress(done: int, total: int, partial: object) -> None:
        if ahead:
            ahead.ended(done)
        work.ctx.progress(done, total, message + (ahead.said(done) if ahead else ""))
        if publish:
            work.ctx.publish(partial)
        work.ctx.checkpoint()
        if ahead:
            ahead.goes_on()

    work.ctx.progress(0, 0, message + (ahead.said(0) if ahead else ""))
    return {"progress": progress, "checkpoint": work.ctx.stop_if_unwanted} | frozen(frozen_patterns)


def _ahead(work: Work) -> Ahead | None:
    """How long the question's plan takes, where its cost is known."""
    if work.cost is None:
        return None
    from core.patching.growing_pass import shape_of

    cost, begun = work.cost(shape_of(work.runs.recordings[0])), work.earlier.begun()
    # Of what is no beginning of this plan nothing is told, and of one whose parts are no rows not how many.
    rows = begun.logit_diff[: len(cost.parts)] if begun is not None and cost.exact else np.zeros(0)
    return Ahead(work.pace, cost, int(np.isfinite(rows).sum()))


def _resumed(work: Work) -> dict[str, Any]:
    """What lets a plan go on where it was broken off, and be gone on with."""
    return {"begun": work.earlier.begun(), "keep": work.earlier.keep}
