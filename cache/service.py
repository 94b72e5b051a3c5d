"""From an experiment to its answers: each question is a job of the worker, each answer is kept.

Pages call the methods of `Service` and read the jobs. Results are frozen and torch-free. Importing this module
imports no torch; the worker's thread does, when the first job runs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from itertools import count
from time import monotonic
from typing import Any

from cache import pulse
from cache.answers import Answers, Asked
from cache.context import Context
from cache.job import Job
from cache.limits import Gate, Limits, Refused
from cache.metrics import Found, Metrics
from cache.questions.catalogue import QUESTIONS, SWEEP
from cache.questions.work import Earlier
from cache.queue import session_of
from cache.stages import Stages
from cache.worker import Worker
from core.experiment import Experiment, InputError
from core.models.pairs import PairSpec, default_pair, find_pair, registry
from core.settings import Settings


class Service:
    """The process's one worker, its resident models and its answers."""

    def __init__(
        self,
        settings: Settings,
        alive: Callable[[Hashable], bool] = lambda owner: True,
        answers: Answers | None = None,
        address: Callable[[Hashable], str] = str,
    ):
        """answers: on disk; by default none are, and none are kept. address: of a session, whose limits it shares."""
        self.settings = settings
        self.answers = answers or Answers(settings)
        limits, self.metrics = Limits.of(settings), Metrics()
        self._gate = Gate(limits, address)
        self.worker = Worker(alive, settings.results_bytes, seconds=limits.seconds, ended=self.metrics.ended)
        self.stages = Stages(settings, self.answers.dtype)
        self._releases = count()

    WARMING, RELEASING = "warming", "release models"
    OWNERS = frozenset({WARMING, RELEASING, pulse.OWNER})  # of jobs that no viewer waits for

    def warm(self) -> None:
        """Import torch and load the default pair before anybody asks, even where the first answers are on disk."""
        with suppress(InputError):
            self.answers.prepare(self.spec(self.start))
        run = partial(self._run, "overview", self.start, {})
        # Under a key of its own: a viewer whose answer is on disk must not wait for it.
        self.worker.submit(
            self.WARMING, run, owner=self.WARMING, group=self.start, priority=QUESTIONS["overview"].priority
        )

    def release_models(self) -> Job:
        """Take what no job uses out of memory: in the worker's thread, which alone touches models, and before others.

        Each time under a key of its own: that it was done once is no answer to the next one who asks.
        """
        return self.worker.submit(
            (self.RELEASING, next(self._releases)),
            lambda ctx: self.stages.residents.evict_unused(),
            owner=self.RELEASING,
            group=self.RELEASING,
            priority=9,
        )

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

    def ask(self, question: str, experiment: Experiment, owner: Hashable, **options: Any) -> Job:
        """The job that answers a question of `cache.questions.catalogue`; its options are part of what is asked.

        What is on disk is a finished job at once: neither the worker nor torch is asked. A job depends on nothing but
        its key: who waits for one that somebody else has asked for gets no answer, and no failure, but their own.
        """
        asked = QUESTIONS[question]
        matters, key = asked.matters(experiment), _key(question, experiment, options)

        def belongs(shown: Hashable) -> bool:
            return isinstance(shown, Experiment) and asked.matters(shown) == matters

        held = self.worker.holds(key)
        found = None if held else self._on_disk(question, experiment, options)
        if not held and found is None:
            try:
                unfinished = self.worker.unfinished(owner, experiment)
                self._gate.pass_(session_of(owner), unfinished, asked.priority <= SWEEP)
            except Refused as refused:
                self.metrics.refused()
                return Job.refused(key, refused)
        job = self.worker.submit(
            key, partial(self._run, question, matters, options), owner=owner, group=experiment,
            priority=asked.priority, belongs=belongs, found=found,
        )  # fmt: skip
        self.metrics.asked(question, _found(job, held, found))
        return job

    def asked(self, question: str, experiment: Experiment, options: dict[str, Any]) -> Asked:
        """The question as the answers on disk are kept by, or an `InputError` where there is no such pair."""
        return Asked(question, QUESTIONS[question].matters(experiment), options, self.spec(experiment))

    def known(self, question: str, experiment: Experiment, **options: Any) -> Any:
        """What was answered before and is still kept, in memory or on disk, or None; asks nothing."""
        kept = self.worker.peek(_key(question, experiment, options))
        return self._on_disk(question, experiment, options) if kept is None else kept

    def _run(self, question: str, experiment: Experiment, options: dict[str, Any], ctx: Context) -> Any:
        """The answer, computed in the worker's thread and kept."""
        spec = self.spec(experiment)
        self.answers.check(spec)
        with self.stages.work(experiment, spec, ctx) as work:
            running = self.answers.running(self.asked(question, experiment, options), work.pair.dtype, work.weights)
            earlier = Earlier(
                known=partial(self.known, experiment=experiment),
                begun=partial(self.answers.begun, running),
                keep=partial(self.answers.keep, running),
                finished=self.answers.finished.of,
            )
            cost = QUESTIONS[question].cost
            costs = partial(cost, **options) if cost else None
            answer = QUESTIONS[question].answer(replace(work, earlier=earlier, cost=costs), **options)
            self.answers.keep(running, answer)
            return answer

    def _on_disk(self, question: str, experiment: Experiment, options: dict[str, Any]) -> Any:
        try:
            return self.answers.find(self.asked(question, experiment, options))
        except InputError:
            # There is no such pair, which whoever computes the answer will say.
            return None

    def close(self, timeout: float) -> bool:
        """Take no more jobs and let the chunk that runs end; False if it, or what is kept, did not within `timeout`.

        What has run is on disk then: asked again, a sweep goes on with the missing cells.
        """
        began = monotonic()
        ended = self.worker.stop(timeout)
        return self.answers.flush(max(0.5, timeout - (monotonic() - began))) and ended

    def room(self) -> int | None:
        """Bytes that a pair may take on the device; None until a first pair has been loaded."""
        return self.stages.residents.budget_known

    @property
    def _pairs_file(self) -> str:
        return str(self.settings.pairs or "")


def _found(job: Job, held: bool, found: Any) -> Found:
    if not held:
        return "no" if found is None else "disk"
    return "memory" if job.finished else "under way"


def _key(question: str, experiment: Experiment, options: dict[str, Any]) -> Hashable:
    return (question, QUESTIONS[question].matters(experiment), tuple(sorted(options.items())))
