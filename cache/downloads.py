"""Models on their way to this machine: a thread a pair, and jobs of the worker that wait for it.

A download takes minutes and a dequantization seconds, and neither needs the device: other jobs run meanwhile. A job
asks for its pair's folders; where they have to be brought it leaves the worker's thread, with `Elsewhere`, and asks
again afterwards. When nobody waits for any of the jobs the download ends; what has come is kept by the hub's cache.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cache.context import Context
from cache.job import Cancelled, Elsewhere
from core.models.checkpoint import Place, Progress, bring_both, is_at_hand

Names = tuple[str, str]
Pair = tuple[Names, Names]


@dataclass(eq=False)
class _Bringing:
    """One pair under way; jobs: the lines of those that wait for it."""

    jobs: list[Context] = field(default_factory=list)
    ended: Future[None] = field(default_factory=Future)


class Downloads:
    """What is under way, and what has come and is not taken yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Pair, _Bringing] = {}
        self._come: dict[Pair, tuple[Place, Place]] = {}

    def bring(
        self, job: Context, sources: Names, revisions: Names, cache: Path, progress: Progress
    ) -> tuple[Place, Place]:
        """`core.models.checkpoint.bring_both` for a job: raises Elsewhere where that takes time."""
        if all(map(is_at_hand, sources)):
            return bring_both(sources, revisions, cache, progress)
        pair = sources, revisions
        with self._lock:
            if pair in self._come:
                # Taken once: a file may be another one the next time.
                return self._come.pop(pair)
            bringing = self._under_way.get(pair)
            if bringing is None:
                bringing = self._under_way[pair] = _Bringing()
                run = partial(self._run, pair, bringing, cache)
                threading.Thread(target=run, name=f"bring {sources[1]}", daemon=True).start()
            bringing.jobs.append(job)
        raise Elsewhere(bringing.ended)

    def _run(self, pair: Pair, bringing: _Bringing, cache: Path) -> None:
        try:
            places = bring_both(*pair, cache, partial(self._tell, pair, bringing))
        except BaseException as error:  # also what ends a download that nobody wants
            with self._lock:
                self._forget(pair, bringing)
            bringing.ended.set_exception(error)
        else:
            with self._lock:
                self._come[pair] = places
                self._forget(pair, bringing)
            bringing.ended.set_result(None)

    def _tell(self, pair: Pair, bringing: _Bringing, message: str) -> None:
        """Show the line at every job that waits; raises Cancelled when nobody waits for any."""
        with self._lock:
            jobs = list(bringing.jobs)
        if any([job.wanted() for job in jobs]):
            for job in jobs:
                job.progress(0, 0, message)
            return
        with self._lock:
            if bringing.jobs != jobs:
                # One more has come in between.
                return
            self._forget(pair, bringing)
        raise Cancelled(pair)

    def _forget(self, pair: Pair, bringing: _Bringing) -> None:
        """Under the lock. Whoever asks from here on begins a download of its own."""
        if self._under_way.get(pair) is bringing:
            del self._under_way[pair]
