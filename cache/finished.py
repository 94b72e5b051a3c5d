"""The numbers of finished prompts of sets, in a folder of the cache: a file each for models, versions and sweeps.

The files are the command line's own (`core.sets.kept`). Together they are bounded as the answers are, those used last
staying; where nothing may be kept, or another process writes to the file now, they live as long as the job.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from core.experiment import InputError
from core.sets.kept import InMemory, Kept, OnDisk

log = logging.getLogger(__name__)


class Finished:
    """limit: bytes of all files; 0 keeps nothing."""

    def __init__(self, folder: Path, limit: int):
        self._folder, self._limit = folder, limit

    def of(self, name: str) -> AbstractContextManager[Kept]:
        """The prompts under a name; see `core.sets.kept.set_up`. In the worker's thread only."""
        if self._limit:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                (self._folder / name).touch()
                self._keep_within(self._limit)
                return OnDisk(self._folder / name)
            except (InputError, OSError) as error:
                log.warning("finished prompts are not kept: %s", error)
        return nullcontext(InMemory())

    def clear(self) -> None:
        self._keep_within(0)

    def _keep_within(self, limit: int) -> None:
        """Drop the files that were used longest ago; nobody reads one whose job has ended."""
        sizes = []
        for path in self._folder.glob("finished-*.sqlite"):
            with suppress(OSError):
                sizes.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in sizes)
        for _, size, path in sorted(sizes):
            if total > limit:
                total -= size
                with suppress(OSError):
                    path.unlink()
