"""Questions of what a patch does directly, and of what it is held against, in the worker's thread."""

from __future__ import annotations

from cache.questions.patching import NAMES, Positions
from cache.questions.work import Work
from core.head.control_results import HeadControls
from core.patching.control_results import Direct
from core.patching.plan import Direction


def direct(work: Work, site: str, direction: Direction, positions: Positions) -> Direct:
    """Of every patch of a sweep, read off the recorded runs."""
    from core.patching.direct import direct_effects

    return direct_effects(work.runs.recordings, work.runs.prompt, site, direction, positions)


def head_controls(work: Work, layer: int, head: int) -> tuple[HeadControls, HeadControls]:
    """One head's output patch taken apart and held against random ones in both directions, INSTRUCT → BASE first."""
    from core.head.controls import control_head
    from core.patching.plan import DIRECTIONS

    found = []
    for n, direction in enumerate(DIRECTIONS):
        work.ctx.progress(n, len(DIRECTIONS), f"controls of L{layer}H{head}, {NAMES[direction]}")
        stop = work.ctx.stop_if_unwanted
        found.append(control_head(work.runs.recordings, work.runs.prompt, layer, head, direction, stop))
        work.ctx.checkpoint()
    return found[0], found[1]
