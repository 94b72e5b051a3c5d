"""The jobs that are done, by key: the latest within a bound in bytes, and those that a page still holds.

Not thread-safe: the worker holds a lock.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any

from cache.job import Job
from cache.kept import Kept


class Results:
    def __init__(self, limit: int):
        """limit: in bytes."""
        self._kept = Kept(limit)
        # a done job that a page still holds costs nothing to share, even when its result was too large to keep
        self._held: weakref.WeakValueDictionary[Hashable, Job] = weakref.WeakValueDictionary()

    def __len__(self) -> int:
        """How many are kept whether or not a page holds them."""
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """Of those that are kept."""
        return self._kept.bytes

    def find(self, key: Hashable) -> Job | None:
        """The job whose result still answers `key`, now the most recently used."""
        job = self._kept.get(key) or self._held.get(key)
        return None if job is None or job.outdated else job

    def peek(self, key: Hashable) -> Any:
        """The result under `key`, or None; changes nothing, not even what is dropped next."""
        job = self._held.get(key)
        return job.result if job else None

    def all(self) -> dict[Hashable, Any]:
        return {key: job.result for key, job in self._held.items()}

    def put(self, job: Job, result: Any, size: int) -> None:
        """From now on this result, of so many bytes, is the job's."""
        job.result, job.partial = result, None
        self._kept.put(job.key, job, size)
        self._held[job.key] = job

    def forget(self, predicate: Callable[[Hashable], bool]) -> None:
        """Drop those whose key fulfils `predicate`."""
        self._kept.forget(predicate)
        for key in [key for key in self._held if predicate(key)]:
            self._held.pop(key, None)
