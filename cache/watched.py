"""A thread that goes on: should it end before it is told to, another one takes its place."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable

from cache import log_lines
from cache.traces import drop_frames

log = logging.getLogger(__name__)


class Watched:
    """Runs `loop` in a daemon thread until it returns; `died` is called before another thread begins it anew."""

    def __init__(self, loop: Callable[[], None], died: Callable[[], None], name: str):
        self._loop, self._died, self._name = loop, died, name
        self._ended = threading.Event()
        self._start()

    def join(self, timeout: float) -> bool:
        """Whether `loop` returned within `timeout` seconds."""
        return self._ended.wait(timeout)

    def _start(self) -> None:
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._loop()
            self._ended.set()
        except BaseException as error:  # whatever it was: the others' questions go on
            told = "".join(traceback.format_exception(error))
            fields = log_lines.of(event="thread ended", thread=self._name, error=type(error).__name__)
            log.critical("the thread %r ended\n%s", self._name, told, extra=fields)
            drop_frames(error)
        finally:
            if not self._ended.is_set():
                self._died()
                self._start()
