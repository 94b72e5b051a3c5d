"""Runs what `core.patching.origin_results` is made of: its sweeps, and the search for the smallest block of layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.experiment import InputError
from core.patching.begun import Begun
from core.patching.budget import Budget
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.growing_pass import shape_of
from core.patching.measures import Measures
from core.patching.origin_results import PATCHED, SHARE, Block, EarlyLate, Origin
from core.patching.plan import CARRIED, DIRECTIONS, DONOR, Direction, sweep_rows
from core.patching.results import Sets, Sweep
from core.patching.sweeps import (
    Recordings,
    gap_of,
    no_checkpoint,
    no_keeping,
    no_progress,
    patch_sets,
    recipient_and_donor,
    run_plan,
    sweep,
)
from core.prompt import AnsweredPrompt


def origin(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    site: str = "w_head",
    direction: Direction = "instruct_to_base",
    *,
    budget: Budget | None = None,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Origin:
    """Changed, carried and patched of every component that `site` names: w_head, w_attn or w_mlp."""
    if site not in PATCHED:
        raise InputError(f"{site!r} has no activation of its own to be carried; choose {', '.join(PATCHED)}", "site")
    changed, carried, patched = (
        sweep(recordings, prompt, of, direction, source=source, budget=budget, checkpoint=checkpoint)
        for of, source in ((site, DONOR), (PATCHED[site], CARRIED), (PATCHED[site], DONOR))
    )
    return Origin(changed, carried, patched)


def early_late(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    *,
    there: Sweep | None = None,
    back: Sweep | None = None,
    budget: Budget | None = None,
    progress: Callable[[int, int, EarlyLate], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> EarlyLate:
    """Two bare sweeps of resid_pre, a row a layer each: nothing here is held against a noise floor.

    there, back: complete sweeps of it over all positions, INSTRUCT → BASE and back, where they have run already.
    progress: counts the rows of both.
    """
    shape = shape_of(recipient_and_donor(recordings, DIRECTIONS[0])[0])
    rows = sweep_rows("resid_pre", (), shape)

    def known(given: Sweep | None, direction: Direction) -> Sweep:
        """Without floor and measures, as a sweep of its own would be."""
        gap = gap_of(recordings, prompt, direction)
        values = np.full((shape.layers, 1), np.nan) if given is None else given.logit_diff
        return Sweep("resid_pre", "all", gap, values)

    def result(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Sweep:
        return Sweep("resid_pre", "all", gap, logit_diff[:, None])

    found = EarlyLate(*(known(*each) for each in zip((there, back), DIRECTIONS)))
    for name, direction in zip(("there", "back"), DIRECTIONS):
        if getattr(found, name).complete:
            continue

        def report(done: int, total: int, half: Sweep, before: EarlyLate = found, name: str = name) -> None:
            both = replace(before, **{name: half})
            progress(both.there.done + both.back.done, 2 * total, both)

        half = run_plan(
            recordings, prompt, rows, direction, result, budget, report, checkpoint, floor=NoiseFloor(), bare=True
        )
        found = replace(found, **{name: half})
    return found


def smallest_block(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    direction: Direction = "instruct_to_base",
    share: float = SHARE,
    *,
    budget: Budget | None = None,
    progress: Callable[[int, int, Block], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = no_keeping,
) -> Block:
    """Sizes are halved, and every block of a size is run: that a longer one does no less is assumed of sizes between.

    progress: counts sizes. begun, keep: of all blocks of every size, of which most never run. Of several blocks of the
    smallest size the one nearest to the whole gap.
    """
    layers = shape_of(recipient_and_donor(recordings, direction)[0]).layers
    gap = gap_of(recordings, prompt, direction)
    best = Block(gap, share, None, float("nan"), float("nan"))
    if gap.reason is not None:
        return best
    every = _blocks(layers)
    ran = begun if begun is not None and begun.fits(len(every)) else Begun.nothing(len(every))

    def of_size(size: int, before: int) -> tuple[Sets, np.ndarray]:
        rows = [row for row, (first, last) in enumerate(every) if last - first + 1 == size]

        def kept(part: Begun) -> None:
            nonlocal ran
            ran = ran.with_rows(rows, part.logit_diff, part.measures, part.no_op)
            keep(ran)

        sets = [[(layer, 0) for layer in range(every[row][0], every[row][1] + 1)] for row in rows]
        found = patch_sets(
            recordings, prompt, sets, "w_layer", direction, budget=budget, checkpoint=checkpoint,
            progress=lambda *of_sets: progress(before, total, best), begun=ran.of_rows(rows), keep=kept,
            floor=NoiseFloor(),
        )  # fmt: skip
        return found, np.where(found.score >= share, np.abs(1 - found.score), np.inf)

    low, high, total = 0, layers + 1, int(np.ceil(np.log2(layers + 1)))
    shorter = float("nan")
    for done in range(1, total + 1):
        size = (low + high) // 2
        found, distance = of_size(size, done - 1)
        if np.isfinite(distance).any():
            first, high = int(distance.argmin()), size
            best = Block(gap, share, (first, first + size - 1), float(found.logit_diff[first]), shorter)
        else:
            low, shorter = size, float(found.score.max())
        best = Block(gap, share, best.layers, best.logit_diff, shorter)
        progress(done, total, best)
        if high - low <= 1:
            break
    return best


def _blocks(layers: int) -> list[tuple[int, int]]:
    """(first, last) of every block of neighbouring layers, by size."""
    return [(first, first + size - 1) for size in range(1, layers + 1) for first in range(layers - size + 1)]
