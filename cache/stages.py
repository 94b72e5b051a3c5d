"""Pairs ready to be asked: resident in their dtype, with the runs that were recorded on them.

In the worker's thread only. Importing this module imports no torch; opening a stage does.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cache.courtesy import wait_for_quiet
from cache.models import Residents, memory_budget
from cache.questions.work import Work
from cache.worker import Context
from core.experiment import Experiment
from core.models.pairs import PairSpec
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
class Stage:
    """A resident pair and the recordings made with it, which hold its models and so must go with it."""

    pair: LoadedPair
    recordings: OrderedDict = field(default_factory=OrderedDict)


class Stages:
    """The resident pairs, within the settings' memory."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self.residents = Residents(lambda: memory_budget(settings.memory_gb, self._device()))
        self._fitting: dict[PairSpec, str] = {}

    @contextmanager
    def work(self, experiment: Experiment, spec: PairSpec, ctx: Context, known: Callable[..., Any]) -> Iterator[Work]:
        """Both models on the experiment, recorded now or a moment ago."""
        seconds = {"load": 0.0, "record": 0.0}
        with self._open(spec, experiment.dtype, ctx, seconds) as stage:
            from core.runs import read_prompt, settle

            prompt = read_prompt(experiment, stage.pair, self._settings.max_tokens)
            runs = settle(prompt, self._recorded(prompt, stage, ctx, seconds))
            beside = lambda dtype: self._beside(spec, dtype, ctx, runs.prompt, stage)  # noqa: E731
            yield Work(runs, stage.pair, ctx, seconds, known, beside)

    @contextmanager
    def _beside(self, spec: PairSpec, dtype: str, ctx: Context, prompt: Prompt, first: Stage) -> Iterator[Runs]:
        """The same prompt and answer in another dtype, beside the models that run, or TooLarge."""
        seconds: dict[str, float] = {}
        with self._open(spec, dtype, ctx, seconds, beside=first) as stage:
            from core.runs import Runs

            yield Runs(prompt, self._recorded(prompt, stage, ctx, seconds))

    def _recorded(self, prompt: Prompt, stage: Stage, ctx: Context, seconds: dict[str, float]) -> Recordings:
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
    def _open(
        self, spec: PairSpec, dtype: str, ctx: Context, seconds: dict[str, float], beside: Stage | None = None
    ) -> Iterator[Stage]:
        """A resident pair; dtype: "" where nobody asks for one; beside: one that must stay resident too."""
        ctx.progress(0, 0, "starting torch")
        if "torch" not in sys.modules:
            wait_for_quiet()
        from core.models.loading import bytes_known, bytes_needed, fit_threads, load_pair

        say = lambda message: ctx.progress(0, 0, message)  # noqa: E731
        dtype, checkpoints = self._dtype(dtype, spec, say)
        key = _resident(spec, dtype)

        def load() -> Stage:
            start = time.perf_counter()
            stage = Stage(load_pair(spec, dtype, self._device(), checkpoints, progress=say))
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
            fit_threads(stage.pair, self._settings.threads)
            yield stage

    def _dtype(self, asked: str, spec: PairSpec, say: Callable[[str], None]) -> tuple[str, Checkpoints | None]:
        """What to run in, and the checkpoints where they had to be looked at for it. The same at every question."""
        dtype = asked or self._settings.dtype or self._fitting.get(spec)
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

        return find_checkpoints(spec, self._settings.cache, say, self._device())

    def _device(self) -> str:
        from core.models.loading import pick_device

        return pick_device(self._settings.device)

    def _bound(self, stage: Stage) -> None:
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
