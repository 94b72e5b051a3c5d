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
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cache.courtesy import wait_for_quiet
from cache.job import Job
from cache.models import Residents, memory_budget
from cache.questions.catalogue import QUESTIONS
from cache.questions.work import Work
from cache.worker import Context, Worker
from core.experiment import Experiment, InputError
from core.models.pairs import PairSpec, default_pair, find_pair, registry
from core.settings import Settings

if TYPE_CHECKING:
    from core.models.checkpoint import Checkpoint
    from core.models.loading import LoadedPair
    from core.prompt import Prompt
    from core.recording import Recording
    from core.runs import Runs

    Recordings = tuple[Recording, Recording]
    Checkpoints = tuple[Checkpoint, Checkpoint]

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
        self._fitting: dict[PairSpec, str] = {}

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
        """The job that answers a question of `cache.questions.catalogue`; its options are part of what is asked."""
        asked = QUESTIONS[question]

        def run(ctx: Context):
            with self._work(experiment, ctx) as work:
                return asked.answer(work, **options)

        key = _key(question, experiment, options)
        return self.worker.submit(key, run, owner=owner, group=experiment, priority=asked.priority)

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
            from core.runs import read_prompt, settle

            prompt = read_prompt(experiment, stage.pair, self.settings.max_tokens)
            runs = settle(prompt, self._recorded(prompt, stage, ctx, seconds))
            known = lambda question, **options: self.known(question, experiment, **options)  # noqa: E731
            beside = lambda dtype: self._beside(replace(experiment, dtype=dtype), ctx, runs.prompt, stage)  # noqa: E731
            yield Work(runs, stage.pair, ctx, seconds, known, beside)

    @contextmanager
    def _beside(self, experiment: Experiment, ctx: Context, prompt: Prompt, first: _Stage) -> Iterator[Runs]:
        """The same prompt and answer in the experiment's dtype, beside the models that run, or TooLarge."""
        seconds: dict[str, float] = {}
        with self._stage(experiment, ctx, seconds, beside=first) as stage:
            from core.runs import Runs

            yield Runs(prompt, self._recorded(prompt, stage, ctx, seconds))

    def _recorded(self, prompt: Prompt, stage: _Stage, ctx: Context, seconds: dict[str, float]) -> Recordings:
        from core.runs import record_both

        if prompt.ids not in stage.recordings:
            ctx.progress(0, 0, f"running both models on {len(prompt.ids)} tokens")
            start = time.perf_counter()
            stage.recordings[prompt.ids] = record_both(prompt, stage.pair)
            seconds["record"] = time.perf_counter() - start
        stage.recordings.move_to_end(prompt.ids)
        self._bound(stage)
        return stage.recordings[prompt.ids]

    @contextmanager
    def _stage(
        self, experiment: Experiment, ctx: Context, seconds: dict[str, float], beside: _Stage | None = None
    ) -> Iterator[_Stage]:
        """A resident pair; beside: one that must stay resident too."""
        ctx.progress(0, 0, "starting torch")
        if "torch" not in sys.modules:
            wait_for_quiet()
        from core.models.loading import bytes_known, bytes_needed, fit_threads, load_pair

        spec = self.spec(experiment)
        say = lambda message: ctx.progress(0, 0, message)  # noqa: E731
        dtype, checkpoints = self._dtype(experiment, spec, say)
        key = _resident(spec, dtype)

        def load() -> _Stage:
            start = time.perf_counter()
            stage = _Stage(load_pair(spec, dtype, self._device(), checkpoints, progress=say))
            seconds["load"] = time.perf_counter() - start
            return stage

        need = 0
        if not any(entry.key == key for entry in self.residents.snapshot()):
            if checkpoints is None:
                # Before a download of many gigabytes, or a dequantization of minutes.
                self.residents.check(key, bytes_known(spec, dtype))
                checkpoints = self._checkpoints(spec, say)
            need = bytes_needed(checkpoints, dtype, spec.quantization)
            if beside is not None:
                self.residents.check_beside(key, need, _resident(beside.pair.spec, beside.pair.dtype))
        with self.residents.use(key, need, load) as stage:
            fit_threads(stage.pair, self.settings.threads)
            yield stage

    def _dtype(
        self, experiment: Experiment, spec: PairSpec, say: Callable[[str], None]
    ) -> tuple[str, Checkpoints | None]:
        """What to run in, and the checkpoints where they had to be looked at for it. The same at every question."""
        dtype = experiment.dtype or self.settings.dtype or self._fitting.get(spec)
        if dtype:
            return dtype, None
        from core.models.dtype import fitting_dtype
        from core.models.loading import bytes_known, bytes_needed

        self.residents.check(_resident(spec, spec.dtype), bytes_known(spec, spec.dtype))
        checkpoints, room = self._checkpoints(spec, say), self.residents.budget_bytes
        need = bytes_needed(checkpoints, "float32", spec.quantization)
        dtype = self._fitting[spec] = fitting_dtype(spec.dtype, self._device(), need, room)
        return dtype, checkpoints

    def _checkpoints(self, spec: PairSpec, say: Callable[[str], None]) -> Checkpoints:
        from core.models.loading import find_checkpoints

        return find_checkpoints(spec, self.settings.cache, say, self._device())

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


def _resident(spec: PairSpec, dtype: str) -> Hashable:
    return f"{spec.id} in {dtype}"


def _key(question: str, experiment: Experiment, options: dict) -> Hashable:
    return (question, experiment, tuple(sorted(options.items())))
