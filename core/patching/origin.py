"""Runs what `core.patching.origin_results` is made of: its sweeps, and the search for the smallest block of layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.experiment import InputError
from core.patching.budget import Budget
from core.patching.growing_pass import shape_of
from core.patching.origin_results import PATCHED, SHARE, Block, EarlyLate, Origin
from core.patching.plan import CARRIED, DIRECTIONS, DONOR, Direction
from core.patching.results import Sets
from core.patching.sweeps import Recordings, gap_of, no_checkpoint, no_progress, patch_sets, recipient_and_donor, sweep
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
    budget: Budget | None = None,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> EarlyLate:
    """Two sweeps of resid_pre: a row a layer each."""
    there, back = (
        sweep(recordings, prompt, "resid_pre", direction, budget=budget, checkpoint=checkpoint)
        for direction in DIRECTIONS
    )
    return EarlyLate(there, back)


def smallest_block(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    direction: Direction = "instruct_to_base",
    share: float = SHARE,
    *,
    budget: Budget | None = None,
    progress: Callable[[int, int, Block], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Block:
    """Sizes are halved, and every block of a size is run: that a longer one does no less is assumed of sizes between.

    progress: counts sizes. Of several blocks of the smallest size the one nearest to the whole gap.
    """
    layers = shape_of(recipient_and_donor(recordings, direction)[0]).layers
    gap = gap_of(recordings, prompt, direction)
    best = Block(gap, share, None, float("nan"), float("nan"))
    if gap.reason is not None:
        return best

    def of_size(size: int) -> tuple[Sets, np.ndarray]:
        blocks = [[(layer, 0) for layer in range(first, first + size)] for first in range(layers - size + 1)]
        found = patch_sets(recordings, prompt, blocks, "w_layer", direction, budget=budget, checkpoint=checkpoint)
        return found, np.where(found.score >= share, np.abs(1 - found.score), np.inf)

    low, high, total = 0, layers + 1, int(np.ceil(np.log2(layers + 1)))
    shorter = float("nan")
    for done in range(1, total + 1):
        size = (low + high) // 2
        found, distance = of_size(size)
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
