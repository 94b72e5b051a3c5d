"""Both models over a set in this process: the numbers of each prompt are kept as soon as it is finished.

A prompt that is kept already is not run again, so a run that was broken off goes on where it was. Nothing of a prompt
stays in memory: averages are made of what is kept (`core.sets.averages`). Which prompts run after one another:
`core.sets.parts`. What patched rows do on the tokens that prompts of an instruction begin with runs once
(`core.patching.beginnings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby, pairwise
from math import ceil

import numpy as np

from core.attention import weights_from_end
from core.attention_results import table_roles
from core.attribution import attribute_every
from core.experiment import InputError
from core.logit_difference import of_every_candidates
from core.models.loading import LoadedPair
from core.patching.beginnings import Beginning, beginning_of
from core.patching.budget import Budget, default_budget
from core.patching.floor import ROWS, THIRDS
from core.patching.plan import Shape, sweep_rows
from core.patching.sweeps import no_checkpoint, sweep
from core.patching.together import Together
from core.prompt import AnsweredPrompt
from core.recording import Recording, most_bytes
from core.results import Attribution
from core.runs import record_every
from core.sets.entries import Used
from core.sets.fields import ATTRIBUTION, PATCHING, SUMMARY, Plan, attention_field, attribution_field, patching_field
from core.sets.kept import Kept, Values
from core.sets.parts import MOST, Part, SoFar, gather, no_progress, parts_of

Ran = tuple[Used, tuple[Recording, Recording]]
_NUMBERS = 2**21  # of an MLP's activations in one pass, of a model whose passes are mostly calls of layers


def run_set(
    used: Sequence[Used],
    pair: LoadedPair,
    plan: Plan,
    kept: Kept,
    *,
    progress: Callable[[SoFar], None] = no_progress,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> None:
    """Run what is not kept yet. checkpoint may raise to cancel; what is kept then stays."""
    runner = Runner(pair, plan)
    found = (each for part in parts_of(used, kept) for each in runner.run(part, checkpoint))
    gather(used, kept, found, progress)


class Runner:
    """A resident pair that runs parts; what they begin with stays until a part begins otherwise."""

    def __init__(self, pair: LoadedPair, plan: Plan) -> None:
        self._pair, self._plan = pair, plan
        self._begins: Beginning | None = None
        cfg = pair.base.cfg
        self._shape = Shape(cfg.n_layers, cfg.n_heads, cfg.n_key_value_heads or cfg.n_heads, 1, neurons=cfg.d_mlp or 0)

    def run(self, part: Part, checkpoint: Callable[[], None] = no_checkpoint) -> Iterator[list[tuple[str, Values]]]:
        """What each of its prompts gives, those together that ran together."""
        begins = self._beginning(part) if self._plan.sites else None
        alone = self._at_once(part.longest - len(part.shared)) == 1
        # A part is recorded in one pass and kept together, whatever its patched rows take. Of long prompts as many as a
        # pass may hold tokens of, since each is recorded at its full length.
        most = self._recorded_at_once(max(len(row.prompt.ids) for row in part.rows)) if not alone else 1
        for start in range(0, len(part.rows), most):
            rows = part.rows[start : start + most]
            checkpoint()
            with _named(rows[0]):
                every = record_every([row.prompt for row in rows], self._pair)
            groups = [list(group) for _, group in groupby(zip(rows, every), lambda each: len(each[0].prompt.ids))]
            pieces = [piece for group in groups for piece in self._pieces(group, len(part.shared))]
            yield [found for piece in pieces for found in self._together(piece, begins, checkpoint)]

    def _pieces(self, group: list[Ran], shared: int) -> list[list[Ran]]:
        """Prompts of one length, as few passes of them as have room, none much larger than another."""
        count = ceil(len(group) / self._at_once(len(group[0][0].prompt.ids) - shared))
        bounds = [len(group) * n // count for n in range(count + 1)]
        return [group[start:stop] for start, stop in pairwise(bounds)]

    def _together(
        self,
        piece: Sequence[Ran],
        begins: Beginning | None,
        checkpoint: Callable[[], None],
    ) -> Iterator[tuple[str, Values]]:
        """Prompts of one length, each with what both models did on it."""
        shared = Together({row.prompt.ids: both for row, both in piece}) if len(piece) > 1 else None
        prompts = [row.prompt for row, _ in piece]
        every = [(_joined(base, begins, shared), _joined(instruct, begins, shared)) for _, (base, instruct) in piece]
        read = zip(of_every_candidates(every, prompts), attribute_every(every, prompts))
        for (row, _), both, of_run in zip(piece, every, read):
            with _named(row):
                yield row.key, numbers(both, row.prompt, of_run, self._plan, self._budget(), checkpoint)

    def _at_once(self, tokens: int) -> int:
        """Prompts that run together: as many as all rows of each, of so many tokens, fit into one pass with."""
        rows = max((len(sweep_rows(site, (), self._shape)) for site in self._plan.sites), default=0)
        beside = 1 + (ROWS + 1) * len(THIRDS) if rows else 1  # the no-op, and the noise floor's
        return min(MOST, max(1, self._budget().tokens // ((rows + beside) * tokens)))

    def _recorded_at_once(self, tokens: int) -> int:
        """Prompts of so many tokens that are recorded together, by both models, within what is free."""
        budget, both = self._budget(), most_bytes(self._pair.base, tokens) + most_bytes(self._pair.instruct, tokens)
        return max(1, min(budget.tokens // tokens, budget.bytes // both))

    def _budget(self) -> Budget:
        """What a pass may hold: of a small model more tokens, until its numbers are as many as a large one's."""
        bridge = self._pair.base
        found = default_budget(bridge)
        return replace(found, tokens=max(found.tokens, _NUMBERS // (bridge.cfg.d_mlp or bridge.cfg.d_model)))

    def _beginning(self, part: Part) -> Beginning | None:
        if not part.shared:
            return None
        found = self._begins
        if found is None or (found.recordings[0].ids, found.longest) != (part.shared, part.longest):
            # What is kept of the earlier one is let go of first.
            self._begins = None
            self._begins = beginning_of((self._pair.base, self._pair.instruct), part.shared, part.longest)
        return self._begins


def _joined(recording: Recording, begins: Beginning | None, together: Together | None) -> Recording:
    return replace(recording, begins=begins, together=together)


@contextmanager
def _named(row: Used) -> Iterator[None]:
    """Which prompt it is that cannot be run."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{row.entry.id}: {error}", error.field) from None


def numbers(
    recordings: tuple[Recording, Recording],
    prompt: AnsweredPrompt,
    of_run: tuple[Mapping[str, np.ndarray], Attribution],
    plan: Plan,
    budget: Budget,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Values:
    """One prompt's numbers by field; see `core.sets.fields`. of_run: of its candidates, and their attribution."""
    candidates, attribution = of_run
    found = {name: candidates[name] for name in SUMMARY}
    found |= {attribution_field(name): getattr(attribution, name) for name in ATTRIBUTION}
    weights, roles = weights_from_end(recordings), table_roles(prompt.roles, prompt.colons)
    found |= {attention_field(role): weights[..., roles[role]] for role in plan.roles}
    for site in plan.sites:
        swept = sweep(recordings, prompt, site, plan.direction, plan.positions, budget=budget, checkpoint=checkpoint)
        found |= {patching_field(site, name): swept.measure(name) for name in PATCHING}
    return found
