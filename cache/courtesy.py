"""Torch and its company take seconds of pure Python to import, beside which a first page would only crawl.

So that import begins in a quiet moment: once nothing was served or drawn for a little while, and nobody is awaited: a
browser that was sent the first page asks for nothing while it reads the files that belong to it. The import cannot be
held up later: a thread that waits within one keeps every other thread from importing anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = 0.5  # seconds without a busy page; from the start on, so that a browser that opens with the app goes first
COMING = 2.0  # seconds that a browser may take from the first page to being drawn for
PATIENCE = 2.5  # seconds to wait at most: a busy server must get its models too

_changed = threading.Condition()
_busy = 0
_quiet_since = time.monotonic()
_awaited_until = 0.0


@contextmanager
def busy(drawing: bool = False) -> Iterator[None]:
    """A page is being served or drawn while this block runs. drawing: then who was awaited is there."""
    global _busy, _quiet_since, _awaited_until
    with _changed:
        _busy += 1
    try:
        yield
    finally:
        with _changed:
            _busy -= 1
            _quiet_since = time.monotonic()
            if drawing:
                _awaited_until = 0.0
            _changed.notify_all()


def coming() -> None:
    """The first page is being sent: soon its browser is to be drawn for."""
    global _awaited_until
    with _changed:
        _awaited_until = time.monotonic() + COMING


def wait_for_quiet() -> None:
    """Return once no page was busy for `QUIET` seconds and nobody is awaited, or after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    with _changed:
        while (now := time.monotonic()) < deadline:
            until = deadline if _busy else min(deadline, max(_quiet_since + QUIET, _awaited_until))
            if until <= now:
                return
            _changed.wait(until - now)
