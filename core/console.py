"""What every command line of the project says: its status, the one line that bad input gets, its progress and times."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SILENCE = 5  # seconds between two lines of progress


@dataclass
class Clock:
    """Wall-clock seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


class Lines:
    """Progress as lines on stderr, seconds apart. what: is counted."""

    def __init__(self, what: str = "prompts") -> None:
        self._what = what
        self._began = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, more: str = "") -> None:
        """more: what else is known so far."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        elif now - self._last < _SILENCE and done < total:
            return
        self._last = now
        ran, to_run = done - self._first, total - done
        left = f", about {self._rest(now, ran, to_run)} left" if ran and to_run else ""
        print(f"{done} of {total} {self._what}{left}{more}", file=sys.stderr, flush=True)

    def _rest(self, now: float, ran: int, to_run: int) -> str:
        seconds = (now - self._began) / ran * to_run
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def status(run: Callable[[], str], refused: tuple[type[Exception], ...]) -> int:
    """Print what `run` returns; 0, or 2 with one line on stderr where it raises one of `refused`."""
    for stream in (sys.stdout, sys.stderr):
        # Where a terminal has no sign for a character, the line matters more.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        print(run())
    except refused as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0
