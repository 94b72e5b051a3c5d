"""A set in parts, each run at one place in one go, and what becomes of a part's numbers. Nothing here knows torch.

A part holds prompts of one instruction and template, those of one length next to each other. What it runs with beside
its own prompts, the tokens that all prompts of the instruction begin with, is the same whatever is finished already and
wherever it runs: so a run that goes on gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from core.sets.entries import Used
from core.sets.kept import Kept, Values

MOST = 16  # prompts of a part
LEAST = 4  # tokens that are worth sharing


@dataclass(frozen=True)
class Part:
    """rows: those that are left of it. shared: the ids that all prompts of its instruction begin with, () where that is
    nothing worth sharing. longest: tokens of the longest of those prompts."""

    rows: tuple[Used, ...]
    shared: tuple[int, ...]
    longest: int


@dataclass(frozen=True)
class SoFar:
    """How far a set has run. logit_diff: (model,) the mean over the prompts that are done."""

    done: int
    total: int
    logit_diff: np.ndarray


def no_progress(so_far: SoFar) -> None:
    """The default: nobody watches."""


def parts_of(used: Sequence[Used], kept: Kept) -> list[Part]:
    """What has still to run, instruction by instruction, the shortest prompts first."""
    by_instruction: dict[tuple[str, str], list[Used]] = {}
    for row in used:
        by_instruction.setdefault((row.entry.instruction, row.entry.template), []).append(row)
    return [part for group in by_instruction.values() for part in _parts(group, kept)]


def _parts(group: list[Used], kept: Kept) -> list[Part]:
    shared, longest = _shared([row.prompt.ids for row in group]), max(map(_length, group))
    whole: list[list[Used]] = []
    for _, rows in groupby(sorted(group, key=_length), _length):
        of_length = list(rows)
        # Those of one length share a growing pass, so as few of them as can be are parted.
        if not whole or len(whole[-1]) + len(of_length) > MOST:
            whole.append([])
        whole[-1] += of_length
    # Cut before what is kept is left out, so that those that run together do so in a run that goes on, too.
    cut = [rows[start : start + MOST] for rows in whole for start in range(0, len(rows), MOST)]
    left = [tuple(row for row in rows if row.key not in kept) for rows in cut]
    return [Part(rows, shared, longest) for rows in left if rows]


def _length(row: Used) -> int:
    return len(row.prompt.ids)


def _shared(texts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The first ids of all of them, up to before the last one of any."""
    shortest = min(map(len, texts))
    count = next((n for n, ids in enumerate(zip(*texts)) if len(set(ids)) > 1), shortest)
    count = min(count, shortest - 1)
    return texts[0][:count] if len(texts) > 1 and count >= LEAST else ()


def gather(
    used: Sequence[Used],
    kept: Kept,
    results: Iterable[Iterable[tuple[str, Values]]],
    progress: Callable[[SoFar], None] = no_progress,
) -> None:
    """Keep what comes in, prompts by their keys; those that come together are kept together or not at all."""
    done = [row.key for row in used if row.key in kept]
    total = kept.column("logit_diff", done).sum(0, dtype=float) if done else np.zeros(2)
    count = len(done)
    progress(SoFar(count, len(used), total / max(count, 1)))
    for found in results:
        together = dict(found)
        kept.keep_all(together)
        for values in together.values():
            total, count = total + values["logit_diff"], count + 1
        progress(SoFar(count, len(used), total / max(count, 1)))
