"""Runs the circuit card of a set of heads: `core.patching.card_results` says what each number is.

All INSTRUCT → BASE runs are one plan: the set, all heads, all but the set, the set's weights, the random sets, and the
subsets that the recovery curves pass. Of up to FEW members these are all subsets, so that every order is exact; of more
the random orders are drawn, and each step of the greedy order is a plan of its own. The mirror is one more run.
Not done: no search for a better set, no random sets for necessity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.experiment import InputError
from core.patching import draws
from core.patching.budget import Budget, default_budget
from core.patching.card_results import CHANGED, Card
from core.patching.gap import Gap
from core.patching.growing_pass import shape_of
from core.patching.measures import Measures
from core.patching.members import Member, Members, checked_members
from core.patching.plan import DIRECTIONS, Shape, positions_of, set_row
from core.patching.results import Sets, Sweep
from core.patching.sweeps import (
    Recordings,
    gap_of,
    no_checkpoint,
    no_progress,
    patch_sets,
    recipient_and_donor,
    run_plan,
)
from core.prompt import AnsweredPrompt

THERE, BACK = DIRECTIONS
SEED = 0


def card(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    members: Iterable[Member],
    site: str = "z",
    positions: str | int = "all",
    *,
    singles: Sweep | None = None,
    seed: int = SEED,
    budget: Budget | None = None,
    progress: Callable[[int, int, Card], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Card:
    """The card of any set of (layer, head), or (layer, group) for sites of KV groups, each counted once.

    singles: the complete sweep of the site INSTRUCT → BASE at these positions, where it has run already.
    """
    recipient, _ = recipient_and_donor(recordings, THERE)
    given = _Given(recordings, prompt, shape_of(recipient), budget or default_budget(recipient.bridge), checkpoint)
    made = _nothing_yet(given, checked_members(members, site, given.shape), site, positions, seed)
    if singles is not None:
        made = _with_singles(made, singles)

    def report(so_far: Card) -> None:
        done = so_far.done
        progress(done, so_far.total + draws.steps_ahead(len(so_far.members), len(so_far.greedy)), so_far)

    made = _there(given, made, report)
    mirror = patch_sets(
        recordings, prompt, [made.members], site, BACK, positions, budget=given.budget, checkpoint=checkpoint
    )
    made = replace(made, back=mirror)
    report(made)
    while more := _missing(made):
        made = _there(given, _with_sets(made, more), report)
    return made


@dataclass(frozen=True, eq=False)
class _Given:
    recordings: Recordings
    prompt: AnsweredPrompt
    shape: Shape
    budget: Budget
    checkpoint: Callable[[], None]


def _nothing_yet(given: _Given, members: Members, site: str, positions: str | int, seed: int) -> Card:
    shape, width = given.shape, given.shape.width(site)
    there, back = (gap_of(given.recordings, given.prompt, direction) for direction in DIRECTIONS)
    weights = CHANGED.get(site) if positions == "all" else None
    random, orders = draws.random_sets(members, width, seed=seed), draws.orders(members, seed=seed)

    def sets(site: str, positions: str | int, wanted: tuple[Members, ...], gap: Gap) -> Sets:
        return Sets(site, positions, wanted, gap, np.full(len(wanted), np.nan), Measures.nothing(len(wanted)))

    made = Card(
        site, positions, members, shape.layers, width,
        forth=sets(site, positions, (), there),
        back=sets(site, positions, (members,), back),
        changed=sets(weights, "all", (members,), there) if weights else None,
        random=random, crowded=draws.crowded(members, width),
        orders=orders, greedy=(), seed=seed,
    )  # fmt: skip
    return _with_sets(made, draws.sets_known_before(members, made.everything, random, orders))


def _missing(made: Card) -> list[Members]:
    """What the orders by single score and greedy go on with, as far as it is known now and has not run."""
    members, greedy = made.members, made.greedy
    wanted = [made.by_single[:k] for k in range(1, len(members))]
    if len(greedy) < len(members):
        wanted += [(*greedy, member) for member in members if member not in greedy]
    known = set(made.forth.members)
    return [chosen for chosen in dict.fromkeys(tuple(sorted(each)) for each in wanted) if chosen not in known]


def _there(given: _Given, before: Card, report: Callable[[Card], None]) -> Card:
    """The INSTRUCT → BASE runs that the card names and lacks, in one plan."""
    forth, changed, positions = before.forth, before.changed, positions_of(before.positions, given.shape)
    left = np.flatnonzero(np.isnan(forth.logit_diff)).tolist()
    rows = [set_row(forth.members[n], forth.site, positions, given.shape) for n in left]
    if changed is not None and not changed.complete:
        rows.append(set_row(before.members, changed.site, (), given.shape))

    def made(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Card:
        found = replace(before, forth=_filled(forth, left, gap, logit_diff, measures))
        if len(rows) > len(left) and changed is not None:
            found = replace(found, changed=_filled(changed, [0], gap, logit_diff[-1:], measures.of_rows([-1])))
        return _ordered(found)

    # Later steps patch subsets of what was patched before: their floor is known.
    floor = forth.gap.floor if before.back.complete else None
    return run_plan(
        given.recordings, given.prompt, rows, THERE, made, given.budget,
        progress=lambda done, total, so_far: report(so_far), checkpoint=given.checkpoint, floor=floor,
    )  # fmt: skip


def _filled(sets: Sets, rows: Sequence[int], gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Sets:
    """With what these rows have said; the plan may have said more behind them."""
    values = sets.logit_diff.copy()
    values[rows] = logit_diff[: len(rows)]
    assert sets.measures is not None, "a card's sets are measured"
    taken = measures.of_rows([*range(len(rows))])
    # One measure for all: what moves a run furthest in either plan.
    gap = replace(gap, no_op=float(np.fmax(gap.no_op, sets.gap.no_op)), floor=gap.floor.joined(sets.gap.floor))
    return replace(sets, gap=gap, logit_diff=values, measures=sets.measures.with_rows(list(rows), taken))


def _ordered(made: Card) -> Card:
    """The greedy order as far as the runs decide it: each next member brings the set nearest to the donor."""
    order: list[Member] = []
    whole = made.gap.donor - made.gap.recipient
    while left := [member for member in made.members if member not in order]:
        reached = [abs(whole - made.of([*order, member]).effect) for member in left]
        if np.isnan(reached).any():
            break
        order.append(left[int(np.argmin(reached))])
    return replace(made, greedy=tuple(order))


def _with_sets(made: Card, more: Iterable[Members]) -> Card:
    """With sets to run, each once."""
    forth = made.forth
    new = [members for members in dict.fromkeys(more) if members not in set(forth.members)]
    assert forth.measures is not None, "a card's sets are measured"
    return replace(
        made,
        forth=replace(
            forth,
            members=(*forth.members, *new),
            logit_diff=np.append(forth.logit_diff, np.full(len(new), np.nan)),
            measures=Measures.joined([forth.measures, Measures.nothing(len(new))]),
        ),
    )


def _with_singles(made: Card, singles: Sweep) -> Card:
    """With what the sweep has said of each member alone."""
    if (singles.site, str(singles.positions), singles.gap.direction) != (made.site, str(made.positions), THERE):
        raise InputError(
            f"the sweep is of {singles.site} at {singles.positions}, {singles.gap.direction}; "
            f"this card takes {made.site} at {made.positions}, {THERE}",
            "site",
        )
    alone = [n for n, members in enumerate(made.forth.members) if len(members) == 1 and members[0] in made.members]
    cells = tuple(np.array([made.forth.members[n][0] for n in alone]).T)
    measures = singles.measures or Measures.nothing(*singles.logit_diff.shape)
    taken = measures.arranged(lambda values: values[cells])
    return replace(made, forth=_filled(made.forth, alone, singles.gap, singles.logit_diff[cells], taken))
