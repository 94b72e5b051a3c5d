"""The norm-matched null: patches of a set of heads whose change has the donor's size and no content.

z_recipient + a random vector with the norm of z_donor − z_recipient at each position, K seeded draws
(`core.patching.matched`), in the growing pass of the donor's own patch; `core.patching.control_results` says what of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from core.experiment import InputError
from core.patching.budget import Budget
from core.patching.control_results import DRAWS, Null
from core.patching.gap import Gap
from core.patching.growing_pass import shape_of
from core.patching.measures import Measures
from core.patching.plan import Direction, Row, at_random, positions_of, set_row
from core.patching.sweeps import Member, Recordings, no_checkpoint, no_progress, recipient_and_donor, run_plan
from core.prompt import AnsweredPrompt


def null(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    sets: Iterable[Iterable[Member]],
    direction: Direction = "instruct_to_base",
    positions: str | int = "all",
    draws: int = DRAWS,
    *,
    budget: Budget | None = None,
    progress: Callable[[int, int, Null], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Null:
    """Each set of (layer, head) members by the donor's z, and `draws` times by random ones, its members at once."""
    if draws < 1:
        raise InputError(f"a null of {draws} draws has no range; choose 1 or more", "draws")
    shape = shape_of(recipient_and_donor(recordings, direction)[0])
    members = tuple(tuple(sorted(set(chosen))) for chosen in sets)
    rows: list[Row] = []
    for chosen in members:
        row = set_row(chosen, "z", positions_of(positions, shape), shape)
        rows += [row, *(tuple(replace(patch, source=at_random(n)) for patch in row) for n in range(draws))]

    def result(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Null:
        by_set = logit_diff.reshape(-1, draws + 1)
        return Null(positions, members, gap, by_set[:, 0], by_set[:, 1:])

    return run_plan(recordings, prompt, rows, direction, result, budget, progress, checkpoint)
