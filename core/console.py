"""What every command line of the project ends with: its status, and the one line that bad input gets."""

from __future__ import annotations

import sys
from collections.abc import Callable


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
