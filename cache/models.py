"""Which models are resident, against a memory budget. Called from the worker's thread only.

Models are evicted before the next one is loaded, least recently used first, so that two never share the memory by
accident. A model in use is pinned: a job that the worker runs inside another one cannot take that one's models away.
"""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cache.job import MustWait
from core.experiment import InputError
from core.models.memory import GB, SHARE, free_bytes

REMEDY = "choose a smaller pair or a smaller dtype, or raise REPHRASE_MEMORY_GB"


class TooLarge(InputError):
    """Needs more than the whole budget."""


class InUse(MustWait, InputError):
    """Fits the budget, but not beside the models in use.

    It cannot wait for them here: they belong to jobs suspended below this one on the same thread. As a MustWait it
    sends a nested job back to the queue until those have ended; a job that is not nested asked for too much itself,
    and fails.
    """


@dataclass(frozen=True)
class Resident:
    """One model in memory, for a status page; `uses` counts the jobs that have it pinned."""

    key: Hashable
    bytes: int
    uses: int


@dataclass
class _Entry:
    value: Any
    bytes: int
    uses: int
    loaded: bool


class Residents:
    """Models by key within a budget in bytes; `budget` is called once, before the first load."""

    def __init__(self, budget: Callable[[], int]):
        self._budget = budget
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    @cached_property
    def budget_bytes(self) -> int:
        return self._budget()

    @property
    def budget_known(self) -> int | None:
        """The budget, or None while nothing was to be loaded yet; looks at no device."""
        return self.__dict__.get("budget_bytes")

    @contextmanager
    def use(self, key: Hashable, need_bytes: int, load: Callable[[], Any]) -> Iterator[Any]:
        """The value under `key`, resident or loaded now, pinned while the block runs.

        `need_bytes` is what it will take; others are evicted until that fits, then `load()` is called. Raises TooLarge
        or InUse. Keep no reference to the value after the block: it could not be released.
        """
        if key not in self._entries:
            self._load(key, need_bytes, load)
        entry = self._entries[key]
        if not entry.loaded:
            raise InUse(f"{key!r} is still being loaded by the job that this one interrupted", "pair")
        self._entries.move_to_end(key)
        entry.uses += 1
        try:
            yield entry.value
        finally:
            entry.uses -= 1

    def snapshot(self) -> tuple[Resident, ...]:
        """What is resident, least recently used first; may be called from any thread."""
        return tuple(Resident(key, entry.bytes, entry.uses) for key, entry in list(self._entries.items()))

    def evict_unused(self) -> None:
        """Release everything that is not in use."""
        self._evict(self._unused())

    def check(self, key: Hashable, need: int) -> None:
        """Raises TooLarge where `need` would not fit even alone."""
        if need > self.budget_bytes:
            raise TooLarge(
                f"{key!r} needs {_gb(need)} and the memory budget is {_gb(self.budget_bytes)}: {REMEDY}", "pair"
            )

    def check_beside(self, key: Hashable, need: int, other: Hashable) -> None:
        """Raises TooLarge where `need` would not fit beside what `other`, which is resident, takes."""
        taken = self._entries[other].bytes
        if need + taken > self.budget_bytes:
            raise TooLarge(
                f"{key!r} needs {_gb(need)} beside {_gb(taken)} and the memory budget is {_gb(self.budget_bytes)}: "
                "raise REPHRASE_MEMORY_GB",
                "pair",
            )

    def _unused(self) -> list[Hashable]:
        return [key for key, entry in self._entries.items() if not entry.uses]

    def _taken(self) -> int:
        return sum(entry.bytes for entry in self._entries.values())

    def _load(self, key: Hashable, need: int, load: Callable[[], Any]) -> None:
        self._evict(self._to_make_room(key, need))
        # pinned and counted from here: load may reach a checkpoint, where another job asks for room
        entry = self._entries[key] = _Entry(None, need, uses=1, loaded=False)
        try:
            entry.value = load()
        except BaseException:
            del self._entries[key]
            raise
        entry.loaded, entry.uses = True, 0
        gc.collect()
        gc.freeze()  # later collections need not walk a model's many objects

    def _to_make_room(self, key: Hashable, need: int) -> list[Hashable]:
        """The keys to evict so that `need` fits; raises before anything is evicted in vain."""
        self.check(key, need)
        budget = self.budget_bytes
        in_use = sum(entry.bytes for entry in self._entries.values() if entry.uses)
        if need > budget - in_use:
            raise InUse(f"{key!r} needs {_gb(need)} beside {_gb(in_use)} in use of {_gb(budget)}: {REMEDY}", "pair")
        evicted, taken = [], self._taken()
        for other in self._unused():
            if taken + need <= budget:
                break
            evicted.append(other)
            taken -= self._entries[other].bytes
        return evicted

    def _evict(self, keys: list[Hashable]) -> None:
        """Collects even when `keys` is empty: a load that failed may have left half a model behind."""
        for key in keys:
            del self._entries[key]
        gc.unfreeze()  # the collector does not see a frozen model's reference cycles
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"


def memory_budget(memory_gb: float | None, device: str) -> int:
    """The budget in bytes: as set, or a share of what `device` has free now. Ask before any model is loaded."""
    return int(memory_gb * GB if memory_gb is not None else free_bytes(device) * SHARE)
