"""A process of the app as far as its answers go: a service with the store of a folder, ended and begun again."""

from __future__ import annotations

from pathlib import Path

from cache.answers import Answers
from cache.service import Service
from cache.store import Store
from core.experiment import Experiment
from core.settings import Settings

PATIENCE = 120
STORE_BYTES = 64 * 10**6


class Process:
    """computed: the questions that were run here, in order."""

    def __init__(self, folder: Path, pairs: Path | None = None, bundle: Path | None = None, **settings):
        self.settings = Settings(cache=folder, pairs=pairs, gallery=bundle, **settings)
        bundles = (Store(bundle, 0, read_only=True),) if bundle else ()
        self.answers = Answers(self.settings, Store(self.settings.store_file, STORE_BYTES), bundles)
        self.service = Service(self.settings, answers=self.answers)
        self.computed: list[str] = []
        run = self.service._run

        def counted(question, experiment, options, ctx):
            self.computed.append(question)
            return run(question, experiment, options, ctx)

        self.service._run = counted

    def answer(self, question: str, experiment: Experiment = Experiment(), **options):
        job = self.service.ask(question, experiment, "me", **options)
        assert job.wait(PATIENCE)
        if job.error is not None:
            raise job.error
        return job.result

    def end(self) -> None:
        assert self.answers.flush(PATIENCE) and self.service.worker.stop(PATIENCE)
