"""One head's cross-model patches, alone and with its KV group: its output, and the two halves of it.

Alone: z (A_donor·v_donor), value_only (A_recipient·v_donor), pattern_only (A_donor·v_recipient), each written into this
head's z at all positions, and result (A_donor·v_donor through the donor's W_O, to which the other three are blind).
Group: the same for all query heads that read the same values, and the group's value vector
itself (v), which equals the joint value-only patch. Effects and scores as in `core.patching.gap`.
Where every head has values of its own, the group is the head. Patches of the head alone all write its z and share a
noise floor; those of the group share another.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.head.results import ALONE, TOGETHER, HeadPatches
from core.patching.gap import Gap
from core.patching.growing_pass import shape_of
from core.patching.measures import Measures
from core.patching.plan import Direction, set_row
from core.patching.sweeps import Recordings, gap_of, no_checkpoint, recipient_and_donor, run_plan
from core.prompt import AnsweredPrompt


def patch_head(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    layer: int,
    head: int,
    direction: Direction = "instruct_to_base",
    checkpoint: Callable[[], None] = no_checkpoint,
    between: Callable[[], None] = no_checkpoint,
) -> HeadPatches:
    """All of `HEAD_PATCHES` for one (layer, head), in two growing passes.

    checkpoint: may raise to cancel, within a pass too; between: is called after each, with no hook in place.
    """
    shape = shape_of(recipient_and_donor(recordings, direction)[0])
    group = shape.group_of(head)
    plans = [
        [set_row([(layer, column)], site, (), shape) for site in sites]
        for sites, column in ((ALONE, head), (TOGETHER, group))
    ]

    def measured(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> tuple[Gap, np.ndarray, Measures]:
        return gap, logit_diff, measures

    found = []
    for rows in plans:
        found.append(run_plan(recordings, prompt, rows, direction, measured, checkpoint=checkpoint))
        between()
    logit_diff = np.concatenate([values for _, values, _ in found])
    floors = np.concatenate([np.full(len(values), gap.floor.at(layer)) for gap, values, _ in found])
    measures = Measures.joined([measures for _, _, measures in found])
    gap = gap_of(recordings, prompt, direction)
    return HeadPatches(layer, head, group, tuple(shape.heads_of(group)), gap, logit_diff, floors, measures)
