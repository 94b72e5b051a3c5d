"""Questions of precision: the same prompt once more in another dtype, its models beside those that run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cache.job import MustWait
from cache.models import TooLarge
from cache.questions.work import Work
from core.experiment import InputError
from core.models.dtype import reference_dtype
from core.patching.plan import Direction
from core.patching.results import Sets
from core.precision import StoredGap

if TYPE_CHECKING:
    from core.prompt import AnsweredPrompt
    from core.recording import Recording
    from core.runs import Runs

FINE = "float32"
RETRY = 30.0  # seconds after which memory that was short is asked for again


def stored_gap(work: Work) -> StoredGap:
    """The gap in a dtype that holds the stored weights beside the one that runs; says so where both do not fit."""
    from core.logit_difference import summarize

    stored = work.pair.stored_dtype
    gap = StoredGap(work.pair.dtype, stored, reference_dtype(stored), summarize(*_read(work.runs)).gap)
    try:
        with work.beside(gap.reference) as other:
            return replace(gap, stored_gap=summarize(*_read(other)).gap)
    except TooLarge as error:
        return replace(gap, reason=str(error))
    except MustWait:
        raise
    except InputError as error:
        # Memory that others hold now may be free later; the budget above stays what it is.
        work.ctx.keep_for(RETRY)
        return replace(gap, reason=str(error))


def _read(runs: Runs) -> tuple[tuple[Recording, Recording], AnsweredPrompt]:
    return runs.recordings, runs.prompt


def recomputed(
    work: Work,
    members: tuple[tuple[int, int], ...],
    site: str,
    direction: Direction,
    positions: str | int,
    frozen_patterns: bool = False,
) -> Sets:
    """Cells of a sweep once more in float32, each in a run of its own; a ValueError where that does not fit beside."""
    from core.patching.sweeps import patch_sets

    work.ctx.progress(0, 0, f"{site} patches in {FINE}")
    with work.beside(FINE) as runs:
        singles = [[member] for member in members]
        given, stop = (runs.recordings, runs.prompt, singles, site, direction, positions), work.ctx.stop_if_unwanted
        return patch_sets(*given, frozen_patterns=frozen_patterns, checkpoint=stop)
