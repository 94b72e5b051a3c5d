"""Greedy build-up of a circuit: add one head at a time, each time the one that moves the whole set furthest.

Every step patches the set so far with each candidate in turn, so its curve is of exact set scores, in which heads that
repeat one another's work do not count twice. Greedy choice is no search: a better set of the same size may exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.experiment import InputError
from core.patching.budget import Budget, default_budget
from core.patching.plan import Direction
from core.patching.results import Gap, Greedy, Sweep
from core.patching.sweeps import Recordings, no_checkpoint, no_progress, patch_sets, roles, sweep
from core.prompt import Prompt

CANDIDATES = 256  # every head of a small model; of a large one, few of the others do anything


def greedy(
    recordings: Recordings,
    prompt: Prompt,
    steps: int,
    site: str = "z",
    direction: Direction = "instruct_to_base",
    positions: str | int = "all",
    *,
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
    budget = budget or default_budget(roles(recordings, direction)[0].bridge)
    if singles is None:
        singles = sweep(recordings, prompt, site, direction, positions, budget=budget, checkpoint=checkpoint)
    _check_singles(singles, site, direction, positions)
    pool = singles.top(candidates)
    steps = min(steps, len(pool))
    total = sum(len(pool) - step for step in range(1, steps))
    gap, chosen, curve, done = singles.gap, [pool[0]], [singles.logit_diff[pool[0]]], 0

    def result(noise_of: Gap) -> Greedy:
        return Greedy(site, positions, tuple(chosen), noise_of, np.array(curve), len(pool), steps)

    progress(0, total, result(gap))
    while len(chosen) < steps:
        left = [member for member in pool if member not in chosen]
        report = _forward(progress, done, total, result(gap))
        sets = [[*chosen, member] for member in left]
        how = dict(budget=budget, progress=report, checkpoint=checkpoint)
        tried = patch_sets(recordings, prompt, sets, site, direction, positions, **how)
        best = int(np.argmax(tried.towards_donor))
        chosen.append(left[best])
        curve.append(tried.logit_diff[best])
        gap, done = replace(gap, noise=float(np.fmax(gap.noise, tried.gap.noise))), done + len(left)
        progress(done, total, result(gap))
    return result(gap)


def _forward(progress: Callable, before: int, total: int, partial: Greedy) -> Callable:
    """Progress of one step as progress of the whole; the circuit itself grows only when a step is complete."""
    return lambda done, _, sets: progress(before + done, total, partial)


def _check_singles(singles: Sweep, site: str, direction: str, positions: str | int) -> None:
    same = (singles.site, singles.gap.direction, singles.positions) == (site, direction, positions)
    if not same or not singles.complete:
        raise InputError("the sweep that ranks the candidates is of another plan or not complete; leave it out", "site")
