"""From an experiment to its answers: each question is a job of the worker, each answer is kept.

Pages call the methods of `Service` and read the jobs. Results are frozen and torch-free. Importing this module
imports no torch; the worker's thread does, when the first job runs.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cache.courtesy import wait_for_quiet
from cache.job import Job
from cache.models import Residents, memory_budget
from cache.questions import QUESTIONS, Work
from cache.worker import Context, Worker
from core.experiment import Experiment, InputError
from core.models.pairs import PairSpec, default_pair, find_pair, registry
from core.settings import Settings

if TYPE_CHECKING:
    from core.models.loading import LoadedPair

SHARE_FOR_RECORDINGS = 0.1  # of the memory budget


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
        self.ask("overview", self.start, self.WARMING)

    @cached_property
    def start(self) -> Experiment:
        """What a bare address shows: the default prompt on the default pair."""
        try:
            return Experiment(pair=default_pair(self.settings.pair, self._pairs_file))
        except InputError:
            # The pairs file cannot be read, which the sidebar says.
            return Experiment()

    def pairs(self) -> dict[str, PairSpec]:
        return registry(self._pairs_file)

    def spec(self, experiment: Experiment) -> PairSpec:
        """The experiment's pair, or an `InputError`."""
        return find_pair(experiment, self._pairs_file, only_listed=self.settings.hosted)

    def ask(self, question: str, experiment: Experiment, owner: Hashable, **options) -> Job:
        """The job that answers a question of `cache.questions`; its options are part of what is asked."""
        priority, answer = QUESTIONS[question]

        def run(ctx: Context):
            with self._work(experiment, ctx) as work:
                return answer(work, **options)

        key = _key(question, experiment, options)
        return self.worker.submit(key, run, owner=owner, group=experiment, priority=priority)

    def known(self, question: str, experiment: Experiment, **options):
        """What was answered before and is still kept, or None; asks nothing."""
        return self.worker.peek(_key(question, experiment, options))

    @property
    def _pairs_file(self) -> str:
        return str(self.settings.pairs or "")

    def _device(self) -> str:
        from core.models.loading import pick_device

        return pick_device(self.settings.device)

    @contextmanager
    def _work(self, experiment: Experiment, ctx: Context) -> Iterator[Work]:
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
            known = lambda question, **options: self.known(question, experiment, **options)  # noqa: E731
            yield Work(settle(prompt, stage.recordings[prompt.ids]), stage.pair, ctx, seconds, known)

    @contextmanager
    def _stage(self, experiment: Experiment, ctx: Context, seconds: dict[str, float]) -> Iterator[_Stage]:
        ctx.progress(0, 0, "starting torch")
        if "torch" not in sys.modules:
            wait_for_quiet()
        from core.models.loading import bytes_needed, find_checkpoints, fit_threads, load_pair

        spec = self.spec(experiment)
        dtype = experiment.dtype or self.settings.dtype or spec.dtype
        key = f"{spec.id} in {dtype}"

        def load() -> _Stage:
            start = time.perf_counter()
            stage = _Stage(load_pair(spec, dtype, self._device(), checkpoints, progress=say))
            seconds["load"] = time.perf_counter() - start
            return stage

        resident = any(entry.key == key for entry in self.residents.snapshot())
        if not resident:
            # Before a download of many gigabytes.
            self.residents.check(key, spec.bytes_needed(dtype) or 0)
        say = lambda message: ctx.progress(0, 0, message)  # noqa: E731
        checkpoints = None if resident else find_checkpoints(spec, self.settings.cache, say)
        need = 0 if resident else bytes_needed(checkpoints, dtype, spec.quantization)
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


def _key(question: str, experiment: Experiment, options: dict) -> Hashable:
    return (question, experiment, tuple(sorted(options.items())))
