"""Torch and its company take seconds of pure Python to import, beside which a first page would only crawl.

So that import begins in a quiet moment: once nothing was served or drawn for a little while. It cannot be held up
later: a thread that waits within an import keeps every other thread from importing anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = 0.5  # seconds without a busy page; from the start on, so that a browser that opens with the app goes first
PATIENCE = 2.5  # seconds to wait at most: a busy server must get its models too

_changed = threading.Condition()
_busy = 0
_quiet_since = time.monotonic()


@contextmanager
def busy() -> Iterator[None]:
    """A page is being served or drawn while this block runs."""
    global _busy, _quiet_since
    with _changed:
        _busy += 1
    try:
        yield
    finally:
        with _changed:
            _busy -= 1
            _quiet_since = time.monotonic()
            _changed.notify_all()


def wait_for_quiet() -> None:
    """Return once no page was busy for `QUIET` seconds, or after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    with _changed:
        while (now := time.monotonic()) < deadline:
            until = deadline if _busy else min(deadline, _quiet_since + QUIET)
            if until <= now:
                return
            _changed.wait(until - now)
