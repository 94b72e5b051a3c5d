"""What every command line of the project ends with: its status, the one line that bad input gets, and its times."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Wall-clock seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


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
