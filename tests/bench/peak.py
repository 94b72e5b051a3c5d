"""The most memory that another process has held."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

_STARTED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_bytes(command: Sequence[str]) -> int:
    """Of a command that ends well, whatever this process holds.

    Linux counts for a child what its parent had held when it was started: a small process between them starts it.
    """
    between = [sys.executable, "-S", "-c", _STARTED, *command]
    ended = subprocess.run(between, stdout=subprocess.PIPE, text=True, check=True)
    return 1024 * int(ended.stdout)
