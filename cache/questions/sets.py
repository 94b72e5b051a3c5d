"""Questions of a set of prompts, in the worker's thread: both models on each, and averages of what has run so far.

Everything that others ask runs between two parts of a set. What is finished of a set is kept prompt by prompt, so a set
that was broken off goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cache.pace import MINUTE
from cache.questions.work import Work
from core.patching.plan import Direction
from core.recognize.results import Instructed, Recognized, set_up_of
from core.sets.fields import Plan, common_roles
from core.sets.kept import InMemory, Kept, set_up
from core.sets.reading import read_set
from core.sets.results import SetResult, result_of

if TYPE_CHECKING:
    from core.sets.entries import Usable

SELDOM = 10  # times as long as averages take to make, at least, until they are made again
TURN = 20.0  # seconds that a set runs until another viewer's, if one waits, goes on


def prompt_set(
    work: Work,
    rows: str,
    sites: tuple[str, ...] = (),
    direction: Direction = "instruct_to_base",
    positions: str = "all",
) -> SetResult:
    """rows: the set as a CSV file's text. sites: what is patched beside, in every prompt."""
    from core.sets.running import run_set

    found = usable_rows(work, rows)
    if not found.used:
        return SetResult(0, (), found.refused, None)
    plan = Plan(tuple(sites), direction, positions, common_roles(found.used))
    with work.earlier.finished(set_up(work.pair.manifest, plan.to_json())) as kept:
        watched = watch(work, lambda: result_of(found, plan, kept), kept)
        told = lambda so_far: watched(so_far.done, so_far.total)  # noqa: E731
        run_set(found.used, work.pair, plan, kept, progress=told, checkpoint=work.ctx.stop_if_unwanted)
        return result_of(found, plan, kept)


def instructions(work: Work, rows: str) -> Instructed:
    """The sentences of the set under several instructions."""
    from core.recognize.instructions import instructions_of, run_instructions, variants

    found = usable_rows(work, rows)
    every = variants(found.used, work.pair, work.experiment, work.max_tokens, work.ctx.checkpoint)
    with work.earlier.finished(set_up(work.pair.manifest, set_up_of())) as kept:

        def made() -> Instructed:
            return instructions_of(every, found.refused, kept)

        run_instructions(every, work.pair, kept, watch(work, made, kept), work.ctx.stop_if_unwanted)
        return made()


def recognized(work: Work, rows: str, task: str) -> Recognized:
    """Heads that carry the instruction. task: of the counter-instructions."""
    from core.recognize.heads import countered, heads_of, run_heads

    found = usable_rows(work, rows)
    every = countered(found.used, work.pair, work.experiment, task, work.max_tokens, work.ctx.checkpoint)
    with work.earlier.finished(set_up(work.pair.manifest, set_up_of(task))) as kept:

        def made() -> Recognized:
            return heads_of(every, found.refused, work.pair, kept)

        run_heads(every, work.pair, kept, watch(work, made, kept), work.ctx.stop_if_unwanted)
        return made()


def usable_rows(work: Work, rows: str) -> Usable:
    """The rows that this pair can run, and the others with their reasons."""
    from core.sets.usable import usable

    work.ctx.progress(0, 0, "reading the set")
    return usable(read_set(rows.encode()), work.pair, work.experiment, work.max_tokens, work.ctx.checkpoint)


def watch(work: Work, made: Callable[[], object], kept: Kept) -> Callable[[int, int], None]:
    """What a set is told after each prompt: progress, now and then what `made` gives of it, and others' turn."""
    lasts = not isinstance(kept, InMemory)
    began, first, again = time.perf_counter(), -1, 0.0

    def progress(done: int, total: int) -> None:
        nonlocal first, again
        first = done if first < 0 else first
        work.ctx.progress(done, total, "prompts of the set" + left(done, total))
        if 0 < done < total and time.perf_counter() >= again:
            start = time.perf_counter()
            work.ctx.publish(made())
            again = time.perf_counter() + SELDOM * (time.perf_counter() - start)
        work.ctx.checkpoint()
        if lasts and done > first:
            work.ctx.take_turns(TURN)

    def left(done: int, total: int) -> str:
        ran = done - first
        seconds = (time.perf_counter() - began) / ran * (total - done) if ran else 0.0
        return f" (about {seconds / MINUTE:.0f} min left)" if seconds >= MINUTE else ""

    return progress
