"""From an experiment to its answers: each question is a job of the worker, each answer is kept.

Pages call the methods of `Service` and read the jobs. Results are frozen and torch-free. Importing this module
imports no torch; the worker's thread does, when the first job runs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property, partial

from cache.job import Job
from cache.questions.catalogue import QUESTIONS
from cache.stages import Stages
from cache.worker import Context, Worker
from core.experiment import Experiment, InputError
from core.models.pairs import PairSpec, default_pair, find_pair, registry
from core.settings import Settings


class Service:
    """The process's one worker, its resident models and its answers."""

    def __init__(self, settings: Settings, alive: Callable[[Hashable], bool] = lambda owner: True):
        self.settings = settings
        self.worker = Worker(alive=alive, results_bytes=settings.results_bytes)
        self.stages = Stages(settings)

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
        matters = asked.matters(experiment)

        def run(ctx: Context):
            known = partial(self.known, experiment=experiment)
            with self.stages.work(experiment, self.spec(experiment), ctx, known) as work:
                return asked.answer(work, **options)

        return self.worker.submit(
            _key(question, experiment, options), run, owner=owner, group=experiment, priority=asked.priority,
            belongs=lambda shown: asked.matters(shown) == matters,
        )  # fmt: skip

    def known(self, question: str, experiment: Experiment, **options):
        """What was answered before and is still kept, or None; asks nothing."""
        return self.worker.peek(_key(question, experiment, options))

    @property
    def _pairs_file(self) -> str:
        return str(self.settings.pairs or "")


def _key(question: str, experiment: Experiment, options: dict) -> Hashable:
    return (question, QUESTIONS[question].matters(experiment), tuple(sorted(options.items())))
