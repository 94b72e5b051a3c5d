"""From an experiment to its answers: each question is a job of the worker, each answer is kept.

Pages call the methods of `Service` and read the jobs. Results are frozen and torch-free. Importing this module
imports no torch; the worker's thread does, when the first job runs.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cache.job import Job
from cache.models import Residents, memory_budget
from cache.settings import Settings
from cache.worker import Context, Worker
from core.experiment import Experiment, InputError
from core.pairs import PairSpec, find_pair, registry
from core.prompt import Prompt
from core.results import MODELS, Summary

if TYPE_CHECKING:
    from core.loading import LoadedPair
    from core.runs import Runs

# A viewer's first figures go before anybody's text, and that before anybody's sweep.
FIRST, NEXT, TEXT, SWEEP = 3, 2, 1, 0
CONTINUATION_TOKENS = 24
SHARE_FOR_RECORDINGS = 0.1  # of the memory budget


@dataclass(frozen=True)
class Overview:
    """The first answer to an experiment: its prompt with the answer set, and both models' logit difference.

    models: the manifest of what ran; n_layers, n_heads, n_groups: sizes, KV groups being n_heads without grouping.
    seconds: wall-clock of the stages `load` (0 when resident) and `record`.
    """

    prompt: Prompt
    summary: Summary
    models: dict
    n_layers: int
    n_heads: int
    n_groups: int
    seconds: dict[str, float]


@dataclass(eq=False)
class _Stage:
    """A resident pair and the recordings made with it, which hold its models and so must go with it."""

    pair: LoadedPair
    recordings: OrderedDict = field(default_factory=OrderedDict)


class Service:
    """The process's one worker, its resident models and its answers."""

    def __init__(self, settings: Settings, alive: Callable[[Hashable], bool] = lambda owner: True):
        self.settings = settings
        self.worker = Worker(alive=alive, results_bytes=settings.results_bytes)
        self.residents = Residents(lambda: memory_budget(settings.memory_gb, self._device()))

    WARMING = "warming"

    def warm(self) -> None:
        """Import torch and load the default pair before anybody asks."""
        self.overview(Experiment(), self.WARMING)

    def pairs(self) -> dict[str, PairSpec]:
        return registry(self._pairs_file)

    def spec(self, experiment: Experiment) -> PairSpec:
        """The experiment's pair, or an `InputError`."""
        return find_pair(experiment, self._pairs_file, only_listed=self.settings.hosted)

    def overview(self, experiment: Experiment, owner: Hashable) -> Job:
        """→ Overview"""

        def answer(ctx: Context) -> Overview:
            with self._runs(experiment, ctx) as (runs, pair, seconds):
                from core.logit_difference import summarize

                cfg = pair.base.cfg
                groups = cfg.n_key_value_heads or cfg.n_heads
                summary = summarize(runs.recordings, runs.prompt)
                return Overview(
                    runs.prompt, summary, pair.manifest, cfg.n_layers, cfg.n_heads, groups, seconds
                )

        return self._submit(("overview", experiment), answer, owner, experiment, FIRST)

    def attribution(self, experiment: Experiment, direction: str, owner: Hashable) -> Job:
        """→ core.results.Attribution"""

        def answer(ctx: Context):
            with self._runs(experiment, ctx) as (runs, _, _):
                from core.attribution import attribute

                return attribute(runs.recordings, runs.prompt, direction)

        return self._submit(("attribution", experiment, direction), answer, owner, experiment, NEXT)

    def continuation(self, experiment: Experiment, model: str, owner: Hashable) -> Job:
        """→ str, what one model writes after the prompt; partial results are the text so far."""

        def answer(ctx: Context) -> str:
            with self._runs(experiment, ctx) as (runs, pair, _):
                from core.generation import continuation

                text, bridge = "", (pair.base, pair.instruct)[MODELS.index(model)]
                for count, text in enumerate(continuation(bridge, runs.prompt, CONTINUATION_TOKENS), 1):
                    ctx.progress(count, CONTINUATION_TOKENS, f"{model.upper()} writes")
                    ctx.publish(text)
                    ctx.checkpoint()
                return text

        return self._submit(("continuation", experiment, model), answer, owner, experiment, TEXT)

    def _submit(self, key, answer, owner, experiment, priority) -> Job:
        return self.worker.submit(key, answer, owner=owner, group=experiment, priority=priority)

    @property
    def _pairs_file(self) -> str:
        return str(self.settings.pairs or "")

    def _device(self) -> str:
        from core.loading import pick_device

        return pick_device(self.settings.device)

    @contextmanager
    def _runs(self, experiment: Experiment, ctx: Context) -> Iterator[tuple[Runs, LoadedPair, dict[str, float]]]:
        """Both models on the experiment, recorded now or a moment ago. In the worker's thread only."""
        seconds = {"load": 0.0, "record": 0.0}
        with self._stage(experiment, ctx, seconds) as stage:
            from core.runs import read_prompt, record_both, settle

            prompt = read_prompt(experiment, stage.pair, self.settings.max_tokens)
            if prompt.ids not in stage.recordings:
                ctx.progress(0, 0, f"running both models on {len(prompt.ids)} tokens")
                start = time.perf_counter()
                stage.recordings[prompt.ids] = record_both(prompt, stage.pair)
                seconds["record"] = time.perf_counter() - start
            stage.recordings.move_to_end(prompt.ids)
            self._bound(stage)
            yield settle(prompt, stage.recordings[prompt.ids]), stage.pair, seconds

    @contextmanager
    def _stage(self, experiment: Experiment, ctx: Context, seconds: dict[str, float]) -> Iterator[_Stage]:
        ctx.progress(0, 0, "starting torch")
        from core.loading import bytes_needed, find_checkpoints, fit_threads, load_pair

        spec = self.spec(experiment)
        dtype = experiment.dtype or self.settings.dtype or spec.dtype
        key = f"{spec.id} in {dtype}"

        def load() -> _Stage:
            start = time.perf_counter()
            say = lambda message: ctx.progress(0, 0, message)  # noqa: E731
            stage = _Stage(load_pair(spec, dtype, self._device(), checkpoints, progress=say))
            seconds["load"] = time.perf_counter() - start
            return stage

        resident = any(entry.key == key for entry in self.residents.snapshot())
        checkpoints = None if resident else find_checkpoints(spec)
        need = 0 if resident else bytes_needed(checkpoints, dtype)
        with self.residents.use(key, need, load) as stage:
            fit_threads(stage.pair, self.settings.threads)
            yield stage

    def _bound(self, stage: _Stage) -> None:
        """Drop the oldest recordings past their share of the memory; the one in use always stays."""
        limit = SHARE_FOR_RECORDINGS * self.residents.budget_bytes
        sizes = [
            sum(t.nbytes for recording in pair for t in recording.activations.values())
            for pair in stage.recordings.values()
        ]
        total = sum(sizes)
        for size in sizes[:-1]:
            if total <= limit:
                break
            stage.recordings.popitem(last=False)
            total -= size
