"""A question to the worker, as a page reads it: its state, its place in the queue, what there is of its answer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Literal, NamedTuple

State = Literal["queued", "running", "done", "failed", "cancelled"]

# Notified whenever any job has more to show or has ended: who waits for one of several waits here.
_moved = threading.Condition()


def wait_until(holds: Callable[[], bool], timeout: float) -> bool:
    """Whether `holds()` within `timeout` seconds; asked again whenever a job moves. It may read jobs, no worker."""
    with _moved:
        return _moved.wait_for(holds, timeout)


class Cancelled(BaseException):
    """Raised by `checkpoint` when nobody waits for the job. A BaseException: `except Exception` must not swallow it."""


class MustWait(Exception):
    """Raised by a job that cannot run inside another one: it goes back to the queue until that one has ended."""


class HadItsTurn(Exception):
    """Raised by a job that can go on later, once others have waited long enough: it goes behind them and runs anew."""


class Elsewhere(Exception):
    """Raised by a job that cannot go on before something outside the worker has ended: a download, say.

    It leaves the worker's thread to others and runs anew after that; where `ended` holds an exception, it fails of it.
    """

    def __init__(self, ended: Future[None]):
        super().__init__("waits for what is done elsewhere")
        self.ended = ended


class Progress(NamedTuple):
    done: int = 0
    total: int = 0
    message: str = ""


class Partial(NamedTuple):
    """The latest partial result; `version` counts from 1, so a page that polls sees that it changed."""

    version: int
    result: Any


class Job:
    """One question to the worker: read from any thread, written by the worker only.

    While it waits for what is done elsewhere it counts as running: its progress is that of what it waits for.
    A job ends once, as done, failed or cancelled; its `result` or `error` is there before `state` says so. After a
    failure or a cancellation the last `partial` stays, for a figure marked stale.
    """

    def __init__(self, key: Hashable, run: Callable[[Any], Any], priority: int, place: Callable[[Job], int]):
        self.key = key
        self.priority = priority
        self.state: State = "queued"
        self.result: Any = None
        self.error: BaseException | None = None
        self.progress = Progress()
        self.partial: Partial | None = None
        self._place = place
        self._run: Callable[[Any], Any] | None = run
        # owner → whether the job belongs to what that owner looks at
        self._interest: dict[Hashable, Callable[[Hashable], bool]] = {}
        self._turn = 0
        self._nests = True
        self._aside = False
        self._asked = time.perf_counter()
        self._waited: float | None = None
        self._began: float | None = None
        self._ran = 0.0
        self._computed = 0.0
        self._good_until = math.inf
        self._ended = threading.Event()

    @classmethod
    def refused(cls, key: Hashable, why: BaseException) -> Job:
        """One that was never taken on."""
        job = cls(key, lambda context: None, 0, lambda job: 0)
        job.error = why
        job._end("failed")
        return job

    @property
    def finished(self) -> bool:
        return self._ended.is_set()

    @property
    def version(self) -> int:
        """Of the partial result; 0 while there is none."""
        partial = self.partial
        return partial.version if partial else 0

    @property
    def outdated(self) -> bool:
        """Whether its answer may be another one by now, as the job itself has said."""
        return time.monotonic() > self._good_until

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for it."""
        return bool(self._interest)

    @property
    def place(self) -> int:
        """Queued jobs that run before this one; 0 for the next one, and once it runs."""
        return self._place(self)

    @property
    def seconds(self) -> float:
        """Seconds that it has run so far, without the jobs that it gave way to."""
        began = self._began
        return self._ran + (time.perf_counter() - began if began is not None else 0.0)

    @property
    def waited(self) -> float:
        """Seconds until it first ran, or ended."""
        return self._waited if self._waited is not None else time.perf_counter() - self._asked

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the job ended within `timeout` seconds."""
        return self._ended.wait(timeout)

    def _clock(self, running: bool) -> None:
        if self._began is not None:
            self._ran += time.perf_counter() - self._began
        self._began = time.perf_counter() if running else None
        self._waited = self.waited

    def _end(self, state: State) -> None:
        self._run = None  # the closure may hold models or activations
        self._clock(running=False)
        self.state = state
        self._ended.set()
        self._tell()

    def _publish(self, partial: Any) -> None:
        self.partial = Partial(self.version + 1, partial)
        self._tell()

    @staticmethod
    def _tell() -> None:
        with _moved:
            _moved.notify_all()
