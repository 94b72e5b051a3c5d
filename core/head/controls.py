"""One head's controls: what its output patch does directly and by later layers, and what one without content does."""

from __future__ import annotations

from collections.abc import Callable

from core.head.control_results import HeadControls
from core.patching.direct import direct_of_layer
from core.patching.null import null
from core.patching.plan import Direction
from core.patching.sweeps import Recordings, no_checkpoint
from core.prompt import AnsweredPrompt


def control_head(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    layer: int,
    head: int,
    direction: Direction = "instruct_to_base",
    checkpoint: Callable[[], None] = no_checkpoint,
) -> HeadControls:
    """Of the head's z at all positions, in one growing pass; checkpoint may raise to cancel."""
    found = null(recordings, prompt, [[(layer, head)]], direction, checkpoint=checkpoint)
    frozen, recomputed = direct_of_layer(recordings, prompt, layer, "z", direction)
    return HeadControls(layer, head, float(frozen[head]), float(recomputed[head]), found)
