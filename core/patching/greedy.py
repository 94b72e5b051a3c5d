"""Greedy build-up of a circuit: one head at a time, each time the one with which the set comes closest to the donor.

Each step minimises |1 − score|, in logits |logit_diff(donor) − logit_diff(patched recipient)|, among the heads that
lessen it by more than their own noise floor, and the build-up ends when there is none. Every step patches the set so
far with each candidate in turn, so its curve is of exact set scores, in which heads that repeat one another's work do
not count twice. Greedy choice is no search: a better set of the same size may exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.experiment import InputError
from core.patching.budget import Budget, default_budget
from core.patching.gap import Gap
from core.patching.measures import Measures
from core.patching.plan import CANDIDATES, Direction
from core.patching.results import Greedy, Sets, Sweep
from core.patching.sweeps import Member, Recordings, no_checkpoint, no_progress, patch_sets, recipient_and_donor, sweep
from core.prompt import AnsweredPrompt


def greedy(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    steps: int,
    site: str = "z",
    direction: Direction = "instruct_to_base",
    positions: str | int = "all",
    *,
    frozen_patterns: bool = False,
    candidates: int | None = CANDIDATES,
    singles: Sweep | None = None,
    budget: Budget | None = None,
    progress: Callable[[int, int, Greedy], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Greedy:
    """A circuit of `steps` heads (or KV groups) and its recovery curve.

    candidates: how many of the best single heads the steps choose from, None for all of them; singles: the complete
    sweep that ranks them, where it has run already.
    """
    if steps < 1:
        raise InputError(f"a circuit of {steps} heads cannot be built; choose 1 or more", "steps")
    budget = budget or default_budget(recipient_and_donor(recordings, direction)[0].bridge)
    if singles is None:
        singles = sweep(
            recordings, prompt, site, direction, positions,
            frozen_patterns=frozen_patterns, budget=budget, checkpoint=checkpoint,
        )  # fmt: skip
    _check_singles(singles, site, direction, positions)
    pool = singles.top(candidates)
    steps = min(steps, len(pool))
    total = sum(len(pool) - step for step in range(1, steps))
    gap, done, ended = singles.gap, 0, False
    chosen: list[Member] = []
    curve: list[float] = []
    said: list[Measures] = []
    left, tried = pool, _as_sets(singles, pool)

    def result() -> Greedy:
        measures = Measures.joined(said) if said else None
        return Greedy(site, positions, tuple(chosen), gap, np.array(curve), len(pool), steps, ended, measures)

    while True:
        best = _nearest(gap.donor, (curve or [gap.recipient])[-1], tried)
        ended = best is None
        if best is not None:
            chosen.append(left[best])
            curve.append(float(tried.logit_diff[best]))
            if tried.measures is not None:
                said.append(tried.measures.of_rows([best]))
        progress(done, total, result())
        if ended or len(chosen) == steps:
            return result()
        left = [member for member in pool if member not in chosen]
        tried = patch_sets(
            recordings, prompt, [[*chosen, m] for m in left], site, direction, positions,
            frozen_patterns=frozen_patterns, budget=budget, checkpoint=checkpoint,
            progress=_forward(progress, done, total, result()),
        )  # fmt: skip
        done += len(left)
        gap = _joined(gap, tried.gap)


def _joined(gap: Gap, other: Gap) -> Gap:
    """One measure for both: what moves a patched run furthest in either."""
    return replace(gap, no_op=float(np.fmax(gap.no_op, other.no_op)), floor=gap.floor.joined(other.floor))


def _nearest(donor: float, now: float, tried: Sets) -> int | None:
    """Of the candidates that bring the set closer by more than their own floor, the one that ends nearest; or None."""
    closer = abs(donor - now) - np.abs(donor - tried.logit_diff)
    beyond = np.flatnonzero(closer > tried.noise_floor)
    return int(beyond[np.argmax(closer[beyond])]) if beyond.size else None


def _as_sets(singles: Sweep, members: list[Member]) -> Sets:
    """The sweep's cells of these members, as sets of one."""
    cells = tuple(np.array(members, int).reshape(-1, 2).T)
    measures = None if singles.measures is None else singles.measures.arranged(lambda values: values[cells])
    sets = tuple((member,) for member in members)
    return Sets(singles.site, singles.positions, sets, singles.gap, singles.logit_diff[cells], measures)


def _forward(
    progress: Callable[[int, int, Greedy], None], before: int, total: int, partial: Greedy
) -> Callable[[int, int, Sets], None]:
    """Progress of one step as progress of the whole; the circuit itself grows only when a step is complete."""
    return lambda done, _, sets: progress(before + done, total, partial)


def _check_singles(singles: Sweep, site: str, direction: str, positions: str | int) -> None:
    same = (singles.site, singles.gap.direction, singles.positions) == (site, direction, positions)
    if not same or not singles.complete:
        raise InputError("the sweep that ranks the candidates is of another plan or not complete; leave it out", "site")
