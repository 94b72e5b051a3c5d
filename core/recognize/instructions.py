"""Both models on the same sentences under several instructions: how far each lets the instruction decide.

For a sentence with its two candidates, logit_diff under the own instruction, under others, under the own one with its
words in another order, and under none. A model that recognizes the instruction differs between them, and INSTRUCT more
than BASE: the difference in differences is (INSTRUCT: own − other) − (BASE: own − other), prompt by prompt. Two
forward passes a prompt and instruction, nothing patched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.experiment import Experiment, InputError
from core.logit_difference import of_candidates
from core.models.loading import LoadedPair
from core.patching.sweeps import no_checkpoint
from core.prompt import MAX_TOKENS, AnsweredPrompt
from core.recognize.results import KINDS, OWN, Instructed
from core.recognize.wordings import instructed
from core.runs import read_prompt, record_both
from core.sets.averages import of_models
from core.sets.entries import Refused, Used
from core.sets.kept import Kept, Values, fill

FIELD = "instructed"  # (kind, model)


@dataclass(frozen=True, eq=False)
class Variants:
    """Each used row's prompts by kind; left_out: (kind, reason) → how many rows have no prompt of that kind."""

    used: tuple[Used, ...]
    prompts: tuple[dict[str, AnsweredPrompt], ...]
    wordings: dict[str, str] = field(default_factory=dict)
    left_out: dict[tuple[str, str], int] = field(default_factory=dict)


def variants(
    used: Sequence[Used], pair: LoadedPair, of: Experiment, max_tokens: int = MAX_TOKENS,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Variants:  # fmt: skip
    """of: what is the same of every prompt; see `core.sets.entries.Entry.experiment`."""
    wordings: dict[str, str] = {}
    left_out: Counter[tuple[str, str]] = Counter()
    every = []
    for row in used:
        checkpoint()
        own, prompts = row.entry.experiment(of, row.prompt.answer.strip()), {OWN: row.prompt}
        for kind in KINDS:
            try:
                experiment = instructed(own, kind)
                wordings.setdefault(kind, "" if experiment.is_free else experiment.instruction)
                if kind != OWN:
                    prompts[kind] = _read(experiment, row.prompt, pair, max_tokens)
            except InputError as error:
                left_out[kind, str(error)] += 1
        every.append(prompts)
    return Variants(tuple(used), tuple(every), wordings, dict(left_out))


def _read(experiment: Experiment, own: AnsweredPrompt, pair: LoadedPair, max_tokens: int) -> AnsweredPrompt:
    read = read_prompt(experiment, pair, max_tokens)
    assert isinstance(read, AnsweredPrompt), "the experiment names an answer"
    if (read.answer_id, read.original_id) != (own.answer_id, own.original_id):
        raise InputError("there its candidates are other tokens", "answer")
    return read


def run_instructions(
    found: Variants,
    pair: LoadedPair,
    kept: Kept,
    progress: Callable[[int, int], None] = lambda done, total: None,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> None:
    """Run what is not kept yet; a kind that a row has no prompt of is NaN."""

    def run(n: int) -> Values:
        numbers = np.full((len(KINDS), 2), np.nan)
        for kind, prompt in found.prompts[n].items():
            checkpoint()
            numbers[KINDS.index(kind)] = of_candidates(record_both(prompt, pair), prompt)["logit_diff"]
        return {FIELD: numbers}

    fill([row.key for row in found.used], kept, run, progress)


def instructions_of(found: Variants, refused: tuple[Refused, ...], kept: Kept) -> Instructed:
    """Of the prompts that are kept, of which there may be none."""
    keys = [row.key for row in found.used if row.key in kept]
    values = kept.column(FIELD, keys) if keys else np.empty((0, len(KINDS), 2), np.float32)
    own = values[:, KINDS.index(OWN)]
    logit_diff, contrast = {}, {}
    for n, kind in enumerate(KINDS):
        there = np.isfinite(values[:, n]).all(1)
        if there.any():
            logit_diff[kind] = of_models(values[there, n])
            if kind != OWN:
                contrast[kind] = of_models(own[there] - values[there, n])
    return Instructed(len(found.used), len(keys), logit_diff, contrast, found.wordings, found.left_out, refused)
