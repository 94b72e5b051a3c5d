"""Both models over a set, prompt by prompt: the numbers of each are kept as soon as it is finished.

A prompt that is kept already is not run again, so a run that was broken off goes on where it was. Nothing of a prompt
stays in memory: averages are made of what is kept (`core.sets.averages`). Prompts of one instruction run after one
another, and what patched rows do on the tokens that all of them begin with runs once (`core.patching.beginnings`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.attention import attend
from core.attention_results import table_roles
from core.attribution import attribute
from core.experiment import InputError
from core.logit_difference import summarize
from core.models.loading import LoadedPair
from core.patching.beginnings import Beginning, beginning_of
from core.patching.sweeps import no_checkpoint, sweep
from core.prompt import AnsweredPrompt
from core.recording import Recording
from core.runs import record_both
from core.sets.entries import Used
from core.sets.fields import ATTRIBUTION, PATCHING, SUMMARY, Plan, attention_field, attribution_field, patching_field
from core.sets.kept import Kept, Values

LEAST = 4  # tokens that are worth sharing


@dataclass(frozen=True)
class SoFar:
    """How far a set has run. logit_diff: (model,) the mean over the prompts that are done."""

    done: int
    total: int
    logit_diff: np.ndarray


def no_progress(so_far: SoFar) -> None:
    """The default: nobody watches."""


def run_set(
    used: Sequence[Used],
    pair: LoadedPair,
    plan: Plan,
    kept: Kept,
    *,
    progress: Callable[[SoFar], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> None:
    """Run what is not kept yet, in the set's order. checkpoint may raise to cancel; what is kept then stays."""
    done = [row.key for row in used if row.key in kept]
    total = kept.column("logit_diff", done).sum(0, dtype=float) if done else np.zeros(2)
    count = len(done)

    def report() -> None:
        progress(SoFar(count, len(used), total / max(count, 1)))

    report()
    for group in _groups(used):
        left = [row for row in group if row.key not in kept]
        begins = _beginning(group, pair) if left and plan.sites else None
        for row in left:
            checkpoint()
            try:
                values = numbers(_recorded(row.prompt, pair, begins), row.prompt, plan, checkpoint)
            except InputError as error:
                raise InputError(f"{row.entry.id}: {error}", error.field) from None
            kept.keep(row.key, values)
            total, count = total + values["logit_diff"], count + 1
            report()


def _groups(used: Sequence[Used]) -> list[list[Used]]:
    """The rows of each instruction and template, in the set's order."""
    found: dict[tuple[str, str], list[Used]] = {}
    for row in used:
        found.setdefault((row.entry.instruction, row.entry.template), []).append(row)
    return list(found.values())


def _beginning(group: Sequence[Used], pair: LoadedPair) -> Beginning | None:
    """What all prompts of a group share, whether they are kept or not: a run that goes on gives the same numbers."""
    texts = [row.prompt.ids for row in group]
    shortest, longest = (bound(map(len, texts)) for bound in (min, max))
    shared = next((n for n, ids in enumerate(zip(*texts)) if len(set(ids)) > 1), shortest)
    shared = min(shared, shortest - 1)
    if len(group) < 2 or shared < LEAST:
        return None
    return beginning_of((pair.base, pair.instruct), texts[0][:shared], longest)


def _recorded(prompt: AnsweredPrompt, pair: LoadedPair, begins: Beginning | None) -> tuple[Recording, Recording]:
    base, instruct = record_both(prompt, pair)
    return replace(base, begins=begins), replace(instruct, begins=begins)


def numbers(
    recordings: tuple[Recording, Recording],
    prompt: AnsweredPrompt,
    plan: Plan,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Values:
    """One prompt's numbers by field; see `core.sets.fields`."""
    summary, attribution = summarize(recordings, prompt), attribute(recordings, prompt)
    found = {name: getattr(summary, name) for name in SUMMARY}
    found |= {attribution_field(name): getattr(attribution, name) for name in ATTRIBUTION}
    attention, roles = attend(recordings, prompt), table_roles(prompt.roles, prompt.colons)
    found |= {attention_field(role): attention.at(roles[role]) for role in plan.roles}
    for site in plan.sites:
        swept = sweep(recordings, prompt, site, plan.direction, plan.positions, checkpoint=checkpoint)
        found |= {patching_field(site, name): swept.measure(name) for name in PATCHING}
    return found
