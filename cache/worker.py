"""The one thread that owns models, hooks and the device.

Two threads on one TransformerBridge corrupt each other's results, so every forward pass runs here. A page submits a
job and reads it; the job calls `checkpoint` between two forwards, where it stops if nobody waits for it any more, or
gives way to a job of higher priority.

Importing this module imports no torch: jobs import what they need, in the worker's thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from cache import log_lines
from cache.context import Context
from cache.job import Cancelled, Elsewhere, HadItsTurn, Job, MustWait, State
from cache.kept import nbytes
from cache.queue import Queue
from cache.results import Results
from cache.traces import default_torch_modes, drop_frames
from cache.watched import Watched

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """A snapshot of the worker; `running` lists keys from the outermost job to the one that has the thread."""

    running: tuple[Hashable, ...]
    queued: int
    owners: int
    kept: int
    kept_bytes: int


class Worker:
    """Runs jobs one at a time in a daemon thread, and keeps their results within `results_bytes`.

    Should the thread end before it is told to, the jobs that it ran fail, and another one goes on with the queue.
    `alive(owner)` says whether an owner still looks: asked before each job, then every `alive_every` seconds.
    """

    def __init__(
        self,
        alive: Callable[[Hashable], bool] = lambda owner: True,
        results_bytes: int = 256 * 10**6,
        alive_every: float = 0.5,
        seconds: float = 0,
        ended: Callable[[Job], None] = lambda job: None,
    ):
        """seconds: that a job may compute, 0 for any number; ended: told of each job that has ended.

        The worker's thread has taken `cpu_seconds` so far.
        """
        self._alive = alive
        self._alive_every = alive_every
        self._lock = threading.Condition()
        self.seconds, self.cpu_seconds = seconds, 0.0
        self._told = ended
        self._queue = Queue(self._ended)
        self._stack: list[Job] = []
        self._results = Results(results_bytes)
        self._stopping = False
        self._thread = Watched(self._loop, self._abandon, "worker")

    def submit(
        self,
        key: Hashable,
        run: Callable[[Context], Any],
        *,
        owner: Hashable,
        group: Hashable,
        priority: int = 0,
        belongs: Callable[[Hashable], bool] | None = None,
        found: Any = None,
    ) -> Job:
        """The job that answers `key`: a finished one if its result is kept, the one under way, or a new one.

        `group` is what the owner looks at now: its interest ends here in unfinished jobs that do not belong to it.
        A job belongs to the groups that `belongs` says, by default to the one that it was asked for in.
        found: the answer, where it was found elsewhere: it is kept as if it had run here.
        """
        size = nbytes(found)
        with self._lock:
            if self._stopping:
                raise RuntimeError("the worker has ended and takes no more jobs")
            self._queue.look_at(owner, group, key)
            job = self._results.find(key)
            if job is None and found is not None:
                job = Job(key, run, priority, self._place)
                self._results.put(job, found, size)
                job._end("done")
            elif job is None:
                belongs = belongs or (lambda looked_at: looked_at == group)
                job = self._queue.ask(key, run, owner, belongs, priority, self._place)
                self._lock.notify()
            return job

    def holds(self, key: Hashable) -> bool:
        """Whether the answer under `key` is kept or under way."""
        with self._lock:
            return self._results.find(key) is not None or self._queue.under_way(key)

    def unfinished(self, owner: Hashable, group: Hashable) -> list[set[Hashable]]:
        """Of each unfinished job, the viewers who wait for it, now that this owner looks at `group`."""
        with self._lock:
            self._queue.look_at(owner, group, None)
            return self._queue.sessions()

    def peek(self, key: Hashable) -> Any:
        """The kept result under `key`, or None; changes nothing, not even what is dropped next."""
        with self._lock:
            return self._results.peek(key)

    def results(self) -> dict[Hashable, Any]:
        """Every result in memory, by key."""
        with self._lock:
            return self._results.all()

    def cancel(self, key: Hashable, owner: Hashable) -> None:
        """End this owner's interest in one unfinished job; others may still wait for it."""
        with self._lock:
            self._queue.lose(key, owner)

    def release(self, owner: Hashable) -> None:
        """End this owner's interest in everything unfinished."""
        with self._lock:
            self._queue.release(owner)

    def forget(self, predicate: Callable[[Hashable], bool]) -> None:
        """Drop the results whose key fulfils `predicate`: they are computed again when asked for."""
        with self._lock:
            self._results.forget(predicate)

    def clear(self) -> None:
        self.forget(lambda key: True)

    def current(self) -> Job | None:
        """The job that has the thread now."""
        with self._lock:
            return self._stack[-1] if self._stack else None

    def status(self) -> Status:
        with self._lock:
            running = tuple(job.key for job in self._stack)
            queued, owners = len(self._queue.queued()), len(self._queue.owners())
            return Status(running, queued, owners, len(self._results), self._results.bytes)

    def stop(self, timeout: float = 5.0) -> bool:
        """Cancel everything and end the thread; False if a job did not reach a checkpoint in time."""
        with self._lock:
            self._stopping = True
            for owner in self._queue.owners():
                self._queue.release(owner)
            self._lock.notify()
        return self._thread.join(timeout)

    def _ended(self, job: Job) -> None:
        log_lines.ended(job)
        self._told(job)

    def _place(self, job: Job) -> int:
        if job.state != "queued":
            return 0
        with self._lock:
            return self._queue.place(job)

    def _drop_departed(self, job: Job) -> None:
        """Not under the lock: `alive` is foreign code and may take locks of its own."""
        with self._lock:
            owners = list(job._interest)
        for owner in owners:
            try:
                gone = not self._alive(owner)
            except Exception:
                log.exception("cannot tell whether an owner still looks; taken to be there")
                gone = False
            if gone:
                self.release(owner)

    def _next(self, above: int | None = None) -> Job | None:
        """The job to run now, marked as running: any, or one that may interrupt a job of priority `above`."""
        while True:
            with self._lock:
                queued = self._queue.queued()
                job = next((job for job in queued if above is None or job._nests and job.priority > above), None)
            if job is None:
                return None
            self._drop_departed(job)
            with self._lock:
                if job.state == "queued":
                    self._queue.start(job)
                    self._stack.append(job)
                    return job

    def _give_way(self, job: Job) -> None:
        """Run every queued job of higher priority, then go on, or raise Cancelled."""
        while True:
            self._stop_if_unwanted(job)
            urgent = self._next(above=job.priority)
            if urgent is None:
                return
            job._clock(running=False)
            with default_torch_modes():
                self._execute(urgent)
            job._clock(running=True)

    def _stop_if_unwanted(self, job: Job) -> None:
        with self._lock:
            if not job._interest:
                if not job.finished:  # it is, when the job swallowed an earlier Cancelled
                    self._queue.end(job, "cancelled")
                raise Cancelled(job.key)

    def _execute(self, job: Job) -> None:
        """Run `job`, the last on the stack. Nothing that it raises leaves this function."""
        job._clock(running=True)
        try:
            assert job._run is not None, "only a job that has ended has dropped it"
            result = job._run(Context(self, job))
            size = nbytes(result)
        except Cancelled:
            self._leave(job, "cancelled")
        except HadItsTurn:
            self._let_others(job)
        except Elsewhere as error:
            self._set_aside(job, error.ended)
        except MustWait as error:
            if len(self._stack) > 1:
                self._postpone(job)
            else:
                self._fail(job, error)
        except BaseException as error:  # library code may raise SystemExit: the thread outlives it
            self._abandon(self._stack.index(job) + 1)
            self._fail(job, error)
        else:
            self._keep(job, result, size)

    def _keep(self, job: Job, result: Any, size: int) -> None:
        """A job that swallowed its cancellation has ended already: its result is not taken."""
        with self._lock:
            self._stack.remove(job)
            if not job.finished:
                self._results.put(job, result, size)
                self._queue.end(job, "done")

    def _leave(self, job: Job, state: State, error: BaseException | None = None) -> None:
        with self._lock:
            if job in self._stack:
                self._stack.remove(job)
            if not job.finished:
                job.error = error
                self._queue.end(job, state)

    def _fail(self, job: Job, error: BaseException) -> None:
        log_lines.failed(job, error)
        drop_frames(error)
        self._leave(job, "failed", error)

    def _others_wait(self, job: Job) -> bool:
        with self._lock:
            return self._queue.others_wait(job)

    def _let_others(self, job: Job) -> None:
        with self._lock:
            self._stack.remove(job)
            self._queue.let_others(job)

    def _set_aside(self, job: Job, ended: Future[None]) -> None:
        with self._lock:
            self._stack.remove(job)
            self._queue.set_aside(job)
        ended.add_done_callback(lambda ended: self._come_back(job, ended.exception()))

    def _come_back(self, job: Job, error: BaseException | None) -> None:
        """Called in whatever thread has ended what the job waited for."""
        with self._lock:
            if job.finished:
                return
            if error is None or isinstance(error, Cancelled):
                # Given up just before somebody asked for this job again: it asks anew.
                self._queue.come_back(job)
                self._lock.notify()
                return
        self._fail(job, error)

    def _postpone(self, job: Job) -> None:
        with self._lock:
            self._stack.remove(job)
            self._queue.postpone(job)

    def _abandon(self, depth: int = 0) -> None:
        """What the thread had begun, from this depth on, when it was thrown out of its own code."""
        for job in self._stack[depth:]:
            self._leave(job, "failed", RuntimeError("the thread that computes ended within this; try it again"))

    def _loop(self) -> None:
        while not self._stopping:
            self._run_next()
            with self._lock:
                self._lock.wait_for(lambda: self._stopping or self._queue.queued())

    def _run_next(self) -> None:
        """Its own function: a name in the loop would keep the last job and its result alive while nothing runs."""
        if job := self._next():
            self._execute(job)
            self.cpu_seconds = time.thread_time()
