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
from functools import partial
from typing import TYPE_CHECKING

from cache.context import Context
from cache.courtesy import wait_for_quiet
from cache.downloads import Downloads
from cache.identity import files_here, weights_here
from cache.kept import Kept, nbytes
from cache.models import Residents, memory_budget
from cache.pace import Pace
from cache.questions.work import Earlier, Work
from cache.traces import fitted_threads
from core.experiment import Experiment
from core.models.pairs import PairSpec
from core.settings import Settings

if TYPE_CHECKING:
    from cache.identity import Both
    from core.models.checkpoint import Checkpoint
    from core.models.loading import LoadedPair
    from core.prompt import AnsweredPrompt, Prompt, Reading
    from core.reading import TextRuns
    from core.recording import Recording
    from core.runs import Runs

    Recordings = tuple[Recording, Recording]
    Checkpoints = tuple[Checkpoint, Checkpoint]

SHARE_FOR_RECORDINGS = 0.1  # of the memory budget
MOST_RECORDINGS = 64  # of a pair: small ones would fill their share with what nobody looks at any more
PROMPTS_BYTES = 8_000_000  # of a pair's tokenized prompts


@dataclass(eq=False)
class Stage:
    """A resident pair with what was read and recorded on it: recordings hold its models, and so must go with it.

    weights: what names its models, None where nothing does. prompts: experiment → its prompt, answered; (experiment,
    "text") → its text alone. recordings: a prompt's ids → both models' runs. pace: how fast patches have run on it.
    """

    pair: LoadedPair
    weights: Both | None = None
    prompts: Kept = field(default_factory=lambda: Kept(PROMPTS_BYTES))
    recordings: OrderedDict[tuple[int, ...], Recordings] = field(default_factory=OrderedDict)
    pace: Pace = field(default_factory=Pace)

    def bound(self, limit: float) -> None:
        """Drop the oldest recordings past `limit` bytes, or past so many; the newest always stays."""
        total = sum(recording.nbytes for both in self.recordings.values() for recording in both)
        while (total > limit or len(self.recordings) > MOST_RECORDINGS) and len(self.recordings) > 1:
            _, dropped = self.recordings.popitem(last=False)
            total -= sum(recording.nbytes for recording in dropped)


class Stages:
    """The resident pairs, within the settings' memory. kept: what a pair's answers on disk were computed in."""

    def __init__(self, settings: Settings, kept: Callable[[PairSpec], str | None] = lambda spec: None):
        self._settings, self._kept = settings, kept
        self.residents = Residents(lambda: memory_budget(settings.memory_gb, self._device()))
        self._downloads = Downloads()
        self._fitting: dict[PairSpec, str] = {}

    @contextmanager
    def work(self, experiment: Experiment, spec: PairSpec, ctx: Context) -> Iterator[Work]:
        """A resident pair, on which the experiment is recorded once somebody looks at its runs."""
        seconds = {"load": 0.0, "record": 0.0}
        with self._open(spec, experiment.dtype, ctx, seconds) as stage:
            run = partial(self._runs, experiment, stage, ctx, seconds)
            beside = lambda dtype: self._beside(spec, dtype, ctx, work.runs.prompt, stage)  # noqa: E731
            most = self._settings.max_tokens
            read = partial(self._texts, experiment, stage, ctx, seconds)
            work: Work = Work(
                run, stage.pair, ctx, seconds, Earlier(), beside, experiment, most, stage.weights, read, stage.pace
            )
            yield work

    def _runs(self, experiment: Experiment, stage: Stage, ctx: Context, seconds: dict[str, float]) -> Runs:
        """Tokenized and answered once for all questions about the experiment."""
        from core.runs import Runs, read_prompt, settle

        if known := stage.prompts.get(experiment):
            return Runs(known, self._recorded(known, stage, ctx, seconds))
        read = read_prompt(experiment, stage.pair, self._settings.max_tokens)
        recordings = self._recorded(read, stage, ctx, seconds)
        prompt = settle(read, recordings)
        stage.prompts.put(experiment, prompt, nbytes(prompt))
        return Runs(prompt, recordings)

    def _texts(self, experiment: Experiment, stage: Stage, ctx: Context, seconds: dict[str, float]) -> TextRuns:
        from core.reading import TextRuns, read_text

        prompt = stage.prompts.get((experiment, "text"))
        if prompt is None:
            prompt = read_text(experiment, stage.pair, self._settings.max_tokens)
            stage.prompts.put((experiment, "text"), prompt, nbytes(prompt))
        return TextRuns(prompt, self._recorded(prompt, stage, ctx, seconds))

    @contextmanager
    def _beside(self, spec: PairSpec, dtype: str, ctx: Context, prompt: AnsweredPrompt, first: Stage) -> Iterator[Runs]:
        """The same prompt and answer in another dtype, beside the models that run, or TooLarge."""
        seconds: dict[str, float] = {}
        with self._open(spec, dtype, ctx, seconds, beside=first) as stage:
            from core.runs import Runs

            yield Runs(prompt, self._recorded(prompt, stage, ctx, seconds))

    def _recorded(self, prompt: Prompt | Reading, stage: Stage, ctx: Context, seconds: dict[str, float]) -> Recordings:
        from core.runs import record_both

        if prompt.ids not in stage.recordings:
            ctx.progress(0, 0, f"running both models on {len(prompt.ids)} tokens")
            start = time.perf_counter()
            stage.recordings[prompt.ids] = record_both(prompt, stage.pair)
            seconds["record"] = time.perf_counter() - start
            stage.bound(SHARE_FOR_RECORDINGS * self.residents.budget_bytes)
        stage.recordings.move_to_end(prompt.ids)
        return stage.recordings[prompt.ids]

    @contextmanager
    def _open(
        self, spec: PairSpec, dtype: str, ctx: Context, seconds: dict[str, float], beside: Stage | None = None
    ) -> Iterator[Stage]:
        """A resident pair; dtype: "" where nobody asks for one; beside: one that must stay resident too."""
        if "torch" not in sys.modules:
            ctx.progress(0, 0, "starting torch")
            wait_for_quiet()
        from core.models.loading import load_pair
        from core.models.room import bytes_needed, must_take_turns

        before = None if self._resident_in(dtype, spec) else files_here(spec)
        dtype, checkpoints = self._dtype(dtype, spec, ctx)
        key, need, in_turns = _resident(spec, dtype), 0, False

        def load() -> Stage:
            start, say = time.perf_counter(), partial(ctx.progress, 0, 0)
            pair = load_pair(spec, dtype, self._device(), checkpoints, progress=say, in_turns=in_turns)
            seconds["load"] = time.perf_counter() - start
            base, instruct = pair.checkpoints
            # Files that were replaced meanwhile may be of either kind, or both: nothing names what was read.
            same = files_here(spec) == before
            return Stage(pair, weights_here(spec, (base.revision, instruct.revision)) if same else None)

        if not self._is_resident(key):
            if checkpoints is None:
                self._check_known(spec, dtype)
                checkpoints = self._checkpoints(spec, ctx)
            if beside is None:
                in_turns = must_take_turns(checkpoints, dtype, spec.quantization, self.residents.budget_bytes)
            need = bytes_needed(checkpoints, dtype, spec.quantization, in_turns)
            if beside is not None:
                self.residents.check_beside(key, need, _resident(beside.pair.spec, beside.pair.dtype))
        with self.residents.use(key, need, load) as stage:
            with fitted_threads(stage.pair, self._settings.threads):
                yield stage

    def _resident_in(self, asked: str, spec: PairSpec) -> bool:
        """Whether the pair is resident in the dtype that is asked for, as far as that is known."""
        return self._is_resident(_resident(spec, self._known_dtype(asked, spec)))

    def _is_resident(self, key: Hashable) -> bool:
        return any(entry.key == key for entry in self.residents.snapshot())

    def _known_dtype(self, asked: str, spec: PairSpec) -> str:
        """What to run in, "" where the checkpoints must be looked at for it."""
        return asked or self._settings.dtype or self._fitting.get(spec, "")

    def _dtype(self, asked: str, spec: PairSpec, ctx: Context) -> tuple[str, Checkpoints | None]:
        """What to run in, and the checkpoints where they had to be looked at for it. The same at every question.

        Where nobody asks for a dtype, that of the answers that are kept, if it is the pair's own or fits.
        """
        if dtype := self._known_dtype(asked, spec):
            return dtype, None
        from core.models.dtype import fitting_dtype
        from core.models.room import bytes_needed

        self._check_known(spec, spec.dtype)
        checkpoints, room = self._checkpoints(spec, ctx), self.residents.budget_bytes
        need, kept = bytes_needed(checkpoints, "float32", spec.quantization), self._kept(spec)
        runs = kept == spec.dtype or need <= room
        dtype = kept if kept and runs else fitting_dtype(spec.dtype, self._device(), need, room)
        self._fitting[spec] = dtype
        return dtype, checkpoints

    def _check_known(self, spec: PairSpec, dtype: str) -> None:
        """Before a download of many gigabytes, or a dequantization of minutes."""
        from core.models.room import check_home, least_known

        self.residents.check(_resident(spec, dtype), least_known(spec, dtype))
        check_home(spec, dtype, self.residents.budget_bytes)

    def _checkpoints(self, spec: PairSpec, ctx: Context) -> Checkpoints:
        from core.models.loading import find_checkpoints

        ctx.progress(0, 0, f"looking for {spec.title}")
        say, bring = partial(ctx.progress, 0, 0), partial(self._downloads.bring, ctx)
        return find_checkpoints(spec, self._settings.cache, say, self._device(), bring)

    def _device(self) -> str:
        from core.models.loading import pick_device

        return pick_device(self._settings.device)


def _resident(spec: PairSpec, dtype: str) -> Hashable:
    return f"{spec.id} in {dtype}"
