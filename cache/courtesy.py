"""Imports that give way: torch and its company take seconds of pure Python, in which a first page would only crawl.

While a page is being served or drawn (`busy`), a thread that imports under `giving_way` waits before each module. The
pages are answered as if nothing were being imported, and the import uses all the time that nobody needs.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 2.0  # seconds that imports wait at most, all together: a busy server must get its models too

_changed = threading.Condition()
_busy = 0


@contextmanager
def busy() -> Iterator[None]:
    """A page is being served or drawn while this block runs."""
    global _busy
    with _changed:
        _busy += 1
    try:
        yield
    finally:
        with _changed:
            _busy -= 1
            _changed.notify_all()


class _Wait:
    """An import finder that finds nothing, but takes its time."""

    def __init__(self, thread: int):
        self._thread = thread
        self._left = PATIENCE

    def find_spec(self, name, path=None, target=None) -> None:
        if threading.get_ident() == self._thread and _busy and self._left > 0:
            start = time.monotonic()
            with _changed:
                _changed.wait_for(lambda: not _busy, self._left)
            self._left -= time.monotonic() - start


@contextmanager
def giving_way() -> Iterator[None]:
    """This thread's imports wait while a page is busy."""
    finder = _Wait(threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
