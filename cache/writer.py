"""A thread that writes what may be written a moment later: no job waits for a disk."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

log = logging.getLogger(__name__)


class Writer:
    """Runs what it is given, oldest first; of what waits under one key only the latest."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Hashable, Callable[[], None]] = OrderedDict()
        self._writing = False
        self._thread: threading.Thread | None = None

    def put(self, key: Hashable, write: Callable[[], None]) -> None:
        with self._changed:
            self._waiting[key] = write
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Whether all that was given is written, within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._writing, timeout)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._waiting))
                _, write = self._waiting.popitem(last=False)
                self._writing = True
            try:
                write()
            except Exception:
                log.exception("an answer was not kept")
            # Its closure holds the answer, which may be large.
            del write
