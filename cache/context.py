"""A running job's line to its worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cache.job import HadItsTurn, Job, Progress
from cache.limits import took_too_long

if TYPE_CHECKING:
    from cache.worker import Worker


class Context:
    """What a running job may say to its worker."""

    def __init__(self, worker: Worker, job: Job):
        self._worker = worker
        self._job = job
        self._asked = time.monotonic()
        self._before = job.seconds
        self._computing: float | None = None

    def progress(self, done: int, total: int, message: str = "") -> None:
        self._job.progress = Progress(done, total, message)

    def publish(self, partial: Any) -> None:
        """Show a partial result. Readers share it with the job: publish a frozen value or a copy."""
        self._job._publish(partial)

    def keep_for(self, seconds: float) -> None:
        """The answer holds no longer than that from now: whoever asks later has it computed again."""
        self._job._good_until = time.monotonic() + seconds

    def checkpoint(self) -> None:
        """Call between two forwards, with no hook in place: other jobs may use the same model before this returns.

        Raises Cancelled when no living owner waits for the job, and Refused when it has computed as long as one may.
        """
        self._ask_owners()
        self._take_time()
        self._worker._give_way(self._job)

    def take_turns(self, seconds: float) -> None:
        """Call where the job can be broken off and go on later: after so many seconds of its own, jobs of the same
        priority that others wait for go first. Raises HadItsTurn."""
        if self._job.seconds - self._before >= seconds and self._worker._others_wait(self._job):
            raise HadItsTurn

    def stop_if_unwanted(self) -> None:
        """Raises Cancelled as `checkpoint` does, but runs nothing else: may be called inside a forward, from a hook."""
        self._ask_owners()
        self._take_time()
        self._worker._stop_if_unwanted(self._job)

    def wanted(self) -> bool:
        """Whether a living owner waits for the job; may be called from any thread."""
        self._ask_owners()
        return self._job.wanted

    def _take_time(self) -> None:
        """Raises Refused when the job has computed as long as one may; what it did before it first asked is loading."""
        now, job = self._job.seconds, self._job
        if self._computing is not None:
            job._computed += now - self._computing
        self._computing = now
        if self._worker.seconds and job._computed > self._worker.seconds:
            raise took_too_long(round(self._worker.seconds))

    def _ask_owners(self) -> None:
        now = time.monotonic()
        if now - self._asked >= self._worker._alive_every:
            self._asked = now
            self._worker._drop_departed(self._job)
