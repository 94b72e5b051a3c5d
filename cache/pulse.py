"""Whether the worker answers: a question of no work, asked before all others, one at a time."""

from __future__ import annotations

import threading
from itertools import count
from time import monotonic

from cache.job import Job
from cache.worker import Worker

OWNER = "pulse"
PATIENCE = 60.0  # seconds: a chunk of a sweep may take some of them, loading a pair more


class Pulse:
    """patience: seconds for which a worker that has answered before may be too busy to answer again."""

    def __init__(self, worker: Worker, patience: float = PATIENCE):
        self._worker, self._patience = worker, patience
        self._lock = threading.Lock()
        self._numbers = count()
        self._asked: Job | None = None
        self._answered = -patience

    def beats(self, timeout: float) -> bool:
        """Whether the worker answers now, within `timeout` seconds, or did so less than `patience` seconds ago."""
        with self._lock:
            if self._asked is None or self._asked.finished:
                try:
                    self._asked = self._ask()
                except RuntimeError:  # it has been told to end
                    return False
            asked = self._asked
        began = monotonic()
        if asked.wait(timeout) and asked.state == "done":
            self._answered = monotonic()
            self._worker.forget(lambda key: key == asked.key)
        return began - self._answered < self._patience

    def _ask(self) -> Job:
        # Under a new key each time: that it answered once is no answer now.
        key = (OWNER, next(self._numbers))
        return self._worker.submit(key, lambda ctx: True, owner=OWNER, group=OWNER, priority=10)
