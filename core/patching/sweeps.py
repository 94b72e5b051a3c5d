"""Cross-model activation patching: which components, taken from the donor, carry its behaviour into the recipient.

The recipient runs the prompt with some activations replaced by the donor's on the same tokens. instruct_to_base:
INSTRUCT is the donor, BASE the recipient (what is sufficient); base_to_instruct is the mirror (what is necessary), and
not its negative. Sites are those of `core.patching.plan`, effects and scores those of `core.patching.gap`. Raw weights
of both models, nothing folded, nothing centred. Every plan measures its noise floor beside: `core.patching.floor`.

Every function takes the recordings of (BASE, INSTRUCT) and their prompt. `progress(done, total,
partial)` is called after every chunk with a result that has NaN where nothing has run yet; `checkpoint()` may raise to
cancel. `keep` gets after every chunk what a later call may be given as `begun`, to run only what is missing: the same
chunks in the same order, so the same numbers. `frozen_patterns` holds attention patterns at the recipient's, as
`core.patching.frozen` says. Not done: no ablation by means or noise; single paths are `core.patching.paths`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from typing import TypeVar

import numpy as np

from core.experiment import InputError
from core.patching.begun import Begun
from core.patching.budget import Budget, default_budget
from core.patching.floor import NoiseFloor, jittered_rows, noise_floor
from core.patching.gap import Gap
from core.patching.growing_pass import run_rows, shape_of
from core.patching.measures import Measures
from core.patching.plan import (
    DIRECTIONS,
    DONOR,
    Direction,
    Row,
    Shape,
    checked,
    pair_rows,
    position_rows,
    positions_of,
    set_row,
    sweep_rows,
)
from core.patching.results import Pairs, PositionMap, Sets, Sweep
from core.prompt import AnsweredPrompt
from core.readout import readout
from core.recording import Recording

Recordings = tuple[Recording, Recording]
Member = tuple[int, int]
Result = TypeVar("Result")


def no_progress(done: int, total: int, partial: object) -> None:
    """The default: nobody watches."""


def no_checkpoint() -> None:
    """The default: nobody cancels."""


def no_keeping(ran: Begun) -> None:
    """The default: nobody goes on with it later."""


def sweep(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    site: str = "z",
    direction: Direction = "instruct_to_base",
    positions: str | int = "all",
    source: str = DONOR,
    *,
    frozen_patterns: bool = False,
    budget: Budget | None = None,
    progress: Callable[[int, int, Sweep], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = no_keeping,
    floor: NoiseFloor | None = None,
) -> Sweep:
    """One site at every head, KV group or layer, each in a run of its own.

    positions: "all", "end" or an index. source: DONOR, or CARRIED for what the recipient's weights make of its streams.
    """
    recipient, _ = recipient_and_donor(recordings, direction)
    shape = shape_of(recipient)
    rows = sweep_rows(site, positions_of(positions, shape), shape, source)

    def result(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Sweep:
        def grid(values: np.ndarray) -> np.ndarray:
            return values.reshape(-1, shape.width(site))

        return Sweep(site, positions, gap, grid(logit_diff), measures.arranged(grid), source)

    return run_plan(
        recordings, prompt, rows, direction, result, budget, progress, checkpoint, begun, keep, floor, frozen_patterns
    )


def position_map(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    site: str = "resid_pre",
    direction: Direction = "instruct_to_base",
    *,
    frozen_patterns: bool = False,
    budget: Budget | None = None,
    progress: Callable[[int, int, PositionMap], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = no_keeping,
) -> PositionMap:
    """A whole layer's site at every single position of every layer."""
    recipient, _ = recipient_and_donor(recordings, direction)
    shape = shape_of(recipient)

    def result(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> PositionMap:
        def grid(values: np.ndarray) -> np.ndarray:
            return values.reshape(shape.layers, shape.positions)

        return PositionMap(site, gap, grid(logit_diff), measures.arranged(grid))

    rows = position_rows(site, shape)
    return run_plan(
        recordings, prompt, rows, direction, result, budget, progress, checkpoint, begun, keep,
        frozen_patterns=frozen_patterns,
    )  # fmt: skip


def patch_sets(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    sets: Iterable[Iterable[Member]],
    site: str = "z",
    direction: Direction = "instruct_to_base",
    positions: str | int = "all",
    *,
    frozen_patterns: bool = False,
    budget: Budget | None = None,
    progress: Callable[[int, int, Sets], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = no_keeping,
    floor: NoiseFloor | None = None,
) -> Sets:
    """Any sets of (layer, head) members, each set patched at once; (layer, group) for sites of KV groups."""
    recipient, _ = recipient_and_donor(recordings, direction)
    shape = shape_of(recipient)
    members = tuple(tuple(sorted(set(chosen))) for chosen in sets)
    rows = [set_row(chosen, site, positions_of(positions, shape), shape) for chosen in members]

    def result(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Sets:
        return Sets(site, positions, members, gap, logit_diff, measures)

    return run_plan(
        recordings, prompt, rows, direction, result, budget, progress, checkpoint, begun, keep, floor, frozen_patterns
    )


def patch_pairs(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    members: Iterable[Member],
    site: str = "z",
    direction: Direction = "instruct_to_base",
    positions: str | int = "all",
    *,
    frozen_patterns: bool = False,
    budget: Budget | None = None,
    progress: Callable[[int, int, Pairs], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = no_keeping,
) -> Pairs:
    """Every member alone and every pair of them, for example of `Sweep.top(k)`."""
    recipient, _ = recipient_and_donor(recordings, direction)
    shape = shape_of(recipient)
    chosen = list(dict.fromkeys((int(layer), int(head)) for layer, head in members))
    rows = pair_rows(chosen, site, positions_of(positions, shape), shape)

    def matrix(values: np.ndarray) -> np.ndarray:
        square = np.diag(values[: len(chosen)])
        for (a, b), value in zip(combinations(range(len(chosen)), 2), values[len(chosen) :]):
            square[a, b] = square[b, a] = value
        return square

    def result(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> Pairs:
        return Pairs(site, positions, tuple(chosen), gap, matrix(logit_diff), measures.arranged(matrix))

    return run_plan(
        recordings, prompt, rows, direction, result, budget, progress, checkpoint, begun, keep,
        frozen_patterns=frozen_patterns,
    )  # fmt: skip


def run_plan(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    rows: list[Row],
    direction: Direction,
    result: Callable[[Gap, np.ndarray, Measures], Result],
    budget: Budget | None = None,
    progress: Callable[[int, int, Result], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = no_keeping,
    floor: NoiseFloor | None = None,
    frozen_patterns: bool = False,
    bare: bool = False,
) -> Result:
    """Any plan. `result(gap, logit_diff, measures)` makes of the rows' numbers, in their order, what is returned.

    floor: measured beforehand for rows like these; by default it is measured beside them. bare: as `run_rows` says.
    """
    recipient, donor = recipient_and_donor(recordings, direction)
    gap, candidates = gap_of(recordings, prompt, direction), (prompt.answer_id, prompt.original_id)
    shape = shape_of(recipient)
    layers = shape.layers
    rows, jittered = (checked(rows, shape), []) if floor else map(list, _with_floor(tuple(rows), shape))

    def made(ran: Begun) -> Result:
        found = floor or noise_floor(jittered, gap.effect(ran.logit_diff[len(rows) :]), layers)
        measures = ran.measures.arranged(lambda values: values[: len(rows)])
        return result(replace(gap, no_op=ran.no_op, floor=found), ran.logit_diff[: len(rows)], measures)

    def report(ran: Begun) -> None:
        keep(ran)
        if progress is not no_progress:
            progress(int(np.isfinite(ran.logit_diff[: len(rows)]).sum()), len(rows), made(ran))

    # The floor's rows ride in the plan's own chunks.
    every = rows + jittered
    if begun is not None and begun.fits(len(every)):
        report(begun)
    else:
        begun = None
    budget = budget or default_budget(recipient.bridge)
    how = (budget, report, checkpoint, begun, len(jittered), frozen_patterns, bare)
    return made(run_rows(recipient, donor, every, candidates, *how))


@lru_cache(maxsize=8)
def _with_floor(rows: tuple[Row, ...], shape: Shape) -> tuple[list[Row], list[Row]]:
    """A plan's rows in canonical order, and those of its noise floor: the same for all prompts of a length."""
    canonical = checked(rows, shape)
    return canonical, jittered_rows(canonical, shape.layers)


def recipient_and_donor(recordings: Recordings, direction: Direction) -> tuple[Recording, Recording]:
    """(recipient, donor), which must have the same sizes and have read the same tokens."""
    if direction not in DIRECTIONS:
        raise InputError(f"the direction {direction!r} is unknown; choose one of {', '.join(DIRECTIONS)}", "direction")
    base, instruct = recordings
    if shape_of(base) != shape_of(instruct) or base.bridge.cfg.d_model != instruct.bridge.cfg.d_model:
        raise InputError(
            f"BASE and INSTRUCT differ in size ({_sizes(base)} against {_sizes(instruct)}); "
            "activations cannot be patched between them",
            "pair",
        )
    return (base, instruct) if direction == "instruct_to_base" else (instruct, base)


def gap_of(recordings: Recordings, prompt: AnsweredPrompt, direction: Direction) -> Gap:
    """The two plain runs that a patch is measured against."""
    # The recipient last: it runs next.
    donor, recipient = (
        float(readout(r.bridge).logit_diff(r.final_residual[-1], prompt.answer_id, prompt.original_id))
        for r in reversed(recipient_and_donor(recordings, direction))
    )
    return Gap(direction, recipient, donor)


def _sizes(recording: Recording) -> str:
    shape: Shape = shape_of(recording)
    return (
        f"{shape.layers} layers, {shape.heads} heads, {shape.groups} KV groups, d_model "
        f"{recording.bridge.cfg.d_model}, {shape.positions} tokens"
    )
