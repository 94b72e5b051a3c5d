"""Path patching: from every sender below a head into its queries, keys or values, and nowhere else.

The sender's change, donor − recipient (`core.patching.sent`), enters the receiver's input alone. Everything between
them is the recipient's own, so the receiver's q (k, v) is W·norm(x + Δ), and one row that patches it is the whole path.
All senders of one receiver are one growing pass from its layer up. Behind the receiver everything runs freely.

k and v are shared by a KV group: for the one head alone the others' outputs are held, for the group all its heads move.
A norm over all heads' queries or keys (OLMo-2) takes the change of all of them, and still only the receiver's z moves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from core.experiment import InputError
from core.patching.begun import Begun
from core.patching.budget import Budget
from core.patching.gap import Gap
from core.patching.growing_pass import shape_of
from core.patching.measures import Measures
from core.patching.path_results import PARTS, Paths
from core.patching.plan import OWN, Direction, Patch, Row, Shape
from core.patching.senders import Sender, senders
from core.patching.sweeps import Recordings, no_checkpoint, no_keeping, no_progress, recipient_and_donor, run_plan
from core.prompt import AnsweredPrompt


def paths(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    layer: int,
    head: int,
    direction: Direction = "instruct_to_base",
    alone: bool = True,
    *,
    budget: Budget | None = None,
    progress: Callable[[int, int, Paths], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = no_keeping,
) -> Paths:
    """Every path into the receiver (layer, head), q first, then k, then v. alone: its k and v for this head alone."""
    shape = shape_of(recipient_and_donor(recordings, direction)[0])
    if not (0 <= layer < shape.layers and 0 <= head < shape.heads):
        raise InputError(
            f"there is no head L{layer}H{head}; choose L0H0 to L{shape.layers - 1}H{shape.heads - 1}", "head"
        )
    rows = [path_row(sender, (layer, head), part, shape, alone) for part in PARTS for sender in senders(layer, shape)]

    def result(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Paths:
        by_part = partial(np.reshape, shape=(len(PARTS), -1))
        measured = measures.arranged(by_part)
        return Paths((layer, head), shape.heads, shape.groups, alone, gap, by_part(logit_diff), measured)

    return run_plan(recordings, prompt, rows, direction, result, budget, progress, checkpoint, begun, keep)


def path_row(sender: Sender, receiver: tuple[int, int], part: str, shape: Shape, alone: bool = True) -> Row:
    """The sender's change in the receiver's q, k or v: in all heads', of which the others' outputs are held."""
    layer, head = receiver
    moved = {head} if part == "q" or alone else set(shape.heads_of(shape.group_of(head)))
    held = tuple(sorted(set(range(shape.heads)) - moved))
    columns = tuple(range(shape.heads if part == "q" else shape.groups))
    row = [Patch(layer, part, columns, source=sender.source)]
    return (*row, Patch(layer, "z", held, source=OWN)) if held else tuple(row)
