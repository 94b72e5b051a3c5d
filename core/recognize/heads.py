"""Which heads carry the instruction: one model, two prompts that differ inside the instruction alone.

The recipient runs the counter-prompt, the donor is the same model's run of the own prompt, and z of one head at a time
is taken from it at all positions: a sweep as between two models (`core.patching.sweeps`), whose two recordings are of
one model. Effects count towards the own prompt. Beside it z INSTRUCT → BASE on the own prompt: heads that carry the
replacement. Every prompt of one instruction has the same counter-instruction. Not done: no position alone, since
positions inside the instruction hold other tokens in the two prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.experiment import Experiment, InputError
from core.models.loading import LoadedPair
from core.patching.results import Sweep
from core.patching.sweeps import no_checkpoint, sweep
from core.prompt import MAX_TOKENS, AnsweredPrompt
from core.recognize.results import Recognized
from core.recognize.wordings import as_long, counter
from core.recording import Recording
from core.runs import record_both
from core.sets.entries import Refused, Used
from core.sets.kept import Kept, Values, fill
from core.sets.statistics import Ratio, average, ratio_of_means

GAP, EFFECT = "cross gap", "cross effect"  # (model,), (model, layer, head)
OWN_GAP, REPLACEMENT = "gap", "replacement effect"  # (), (layer, head)


@dataclass(frozen=True, eq=False)
class Countered:
    """The rows that have a counter-prompt, with it; counters: instruction → its counter, without: → why none."""

    task: str
    used: tuple[Used, ...]
    prompts: tuple[AnsweredPrompt, ...]
    counters: dict[str, str]
    without: dict[str, str]

    @property
    def keys(self) -> list[str]:
        """By which each row's numbers are kept: against another wording they are other numbers."""
        return [f"{row.key} {prompt.text}" for row, prompt in zip(self.used, self.prompts)]


def countered(
    used: Sequence[Used], pair: LoadedPair, of: Experiment, task: str, max_tokens: int = MAX_TOKENS,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Countered:  # fmt: skip
    """task: of the counter-instructions; of: as in `core.sets.entries.Entry.experiment`."""
    counters: dict[str, str] = {}
    without: dict[str, str] = {}
    wordings: dict[str, tuple[str, ...]] = {}
    rows, prompts = [], []
    for row in used:
        checkpoint()
        instruction = row.entry.instruction
        own = row.entry.experiment(of, row.prompt.answer.strip())
        if instruction in without:
            continue
        try:
            if instruction not in wordings:
                wordings[instruction] = as_long(instruction, task, pair)
            wording, prompt = counter(own, wordings[instruction], row.prompt, pair, max_tokens)
        except InputError as error:
            without.setdefault(instruction, str(error))
        else:
            counters.setdefault(instruction, wording)
            rows.append(row)
            prompts.append(prompt)
    return Countered(task, tuple(rows), tuple(prompts), counters, without)


def run_heads(
    found: Countered,
    pair: LoadedPair,
    kept: Kept,
    progress: Callable[[int, int], None] = lambda done, total: None,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> None:
    """Run what is not kept yet: three sweeps a prompt."""

    def run(n: int) -> Values:
        return head_numbers(found.used[n].prompt, found.prompts[n], pair, checkpoint)

    fill(found.keys, kept, run, progress)


def head_numbers(
    own: AnsweredPrompt, other: AnsweredPrompt, pair: LoadedPair, checkpoint: Callable[[], None] = no_checkpoint
) -> Values:
    """One prompt's numbers by field."""
    donors, recipients = record_both(own, pair), record_both(other, pair)
    crossed = [cross_prompt(two, own, checkpoint) for two in zip(recipients, donors)]
    replaced = sweep(donors, own, checkpoint=checkpoint)
    return {
        GAP: np.array([one.gap.donor - one.gap.recipient for one in crossed]),
        EFFECT: np.stack([one.effect for one in crossed]),
        OWN_GAP: np.array(replaced.gap.size),
        REPLACEMENT: replaced.effect,
    }


def cross_prompt(
    two: tuple[Recording, Recording],
    own: AnsweredPrompt,
    checkpoint: Callable[[], None] = no_checkpoint,
    site: str = "z",
) -> Sweep:
    """two: one model on the counter-prompt and on the own one, recipient and donor."""
    return sweep(two, own, site, checkpoint=checkpoint)


def heads_of(found: Countered, refused: tuple[Refused, ...], pair: LoadedPair, kept: Kept) -> Recognized:
    """Of the prompts that are kept, of which there may be none."""
    keys, cfg = [key for key in found.keys if key in kept], pair.base.cfg
    heads = (cfg.n_layers, cfg.n_heads)

    def column(field: str, shape: tuple[int, ...]) -> np.ndarray:
        return kept.column(field, keys) if keys else np.empty((0, *shape), np.float32)

    gap, effect, replacement = column(GAP, (2,)), column(EFFECT, (2, *heads)), column(REPLACEMENT, heads)
    ratios = [ratio_of_means(effect[:, model], gap[:, model]) for model in (0, 1)]
    return Recognized(
        usable=len(found.used),
        ran=len(keys),
        task=found.task,
        gap=average(gap),
        effect=average(effect),
        ratio=Ratio(*(np.stack([getattr(r, name) for r in ratios]) for name in ("value", "ci_low", "ci_high"))),
        replacement=average(replacement),
        replacement_ratio=ratio_of_means(replacement, column(OWN_GAP, ())),
        counters=found.counters,
        without=found.without,
        refused=refused,
    )
