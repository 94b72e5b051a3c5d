"""Results kept in memory: least recently used out first, bounded in bytes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
CONTAINERS = (list, tuple, set, frozenset)
_SIZED = ("memory_usage", "untyped_storage", "nbytes", "strides", "dtype")
PLAIN = frozenset({str, bytes, int, float, bool, type(None)})  # nothing hangs on them


def nbytes(value: Any) -> int:
    """Bytes that keeping `value` keeps alive, each object counted once.

    An array counts with the whole buffer that it is a view of: one row kept of a large tensor keeps the tensor.
    """
    total, seen, stack = 0, set(), [value]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        kind: Any = type(item)
        if kind in PLAIN:
            total += sys.getsizeof(item)
        elif kind in CONTAINERS:
            total += sys.getsizeof(item)
            stack.extend(item)
        elif (names := _fields(kind)) is not None:
            total += sys.getsizeof(item)
            stack.extend(getattr(item, name) for name in names)
        elif not isinstance(item, SHARED):
            total += _own_bytes(item)
            stack.extend(_parts(item))
    return total


@cache
def _fields(kind: type) -> tuple[str, ...] | None:
    """Of a dataclass that is nothing else besides."""
    besides = issubclass(kind, (Mapping, type)) or any(hasattr(kind, name) for name in _SIZED)
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) and not besides else None


def _own_bytes(item: Any) -> int:
    if callable(usage := getattr(item, "memory_usage", None)):
        used = usage(deep=True)
        return int(used.sum() if hasattr(used, "sum") else used)
    if callable(storage := getattr(item, "untyped_storage", None)):
        return int(storage().nbytes())
    size = sys.getsizeof(item)
    if _is_view(item):
        return size
    # an array that owns its buffer already has it in getsizeof; one over a foreign buffer (mmap, bytes) has not
    return max(size, int(getattr(item, "nbytes", 0)))


def _parts(item: Any) -> list[Any]:
    if callable(getattr(item, "memory_usage", None)) or callable(getattr(item, "untyped_storage", None)):
        return []
    if isinstance(item, Mapping):
        return [*item.keys(), *item.values()]
    if isinstance(item, CONTAINERS):
        return list(item)
    if _is_view(item):
        return [item.base]
    if getattr(item, "dtype", None) is not None and getattr(item.dtype, "hasobject", False):
        return list(item.ravel().tolist())
    if is_dataclass(item):
        return [getattr(item, field.name) for field in fields(item)]
    return list(getattr(item, "__dict__", {}).values())


def _is_view(item: Any) -> bool:
    base = getattr(item, "base", None)
    return hasattr(item, "strides") and (hasattr(base, "nbytes") or hasattr(base, "untyped_storage"))


class Kept:
    """Values by key, at most `limit` bytes in all. Not thread-safe: its owner holds a lock.

    A value of more than half the limit is not kept, so that one of them cannot push out everything else.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Any:
        """The value under `key`, now the most recently used, or None."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        # By its key: a look at every other one is what a busy server would spend its time on.
        self.bytes -= self._entries.pop(key, (None, 0))[1]
        if size > self.limit // 2:
            return
        while self.bytes + size > self.limit:
            self.bytes -= self._entries.popitem(last=False)[1][1]
        self._entries[key] = (value, size)
        self.bytes += size

    def forget(self, predicate: Callable[[Hashable], bool]) -> None:
        """Drop every value whose key fulfils `predicate`."""
        for key in [key for key in self._entries if predicate(key)]:
            self.bytes -= self._entries.pop(key)[1]
