"""What tensors free serves the next ones."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

# Of sizes that the C library of itself hands back to the system, and has cleared anew.
LOOK = """
import resource, torch
from core.models.memory import keep_freed
keep_freed()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for size in (9, 5, 7) * 20:
        parts = [torch.ones(size, 2**18) for _ in range(3)]
        del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="it is not GNU's C library")
def test_memory_that_was_freed_is_not_cleared_by_the_system_again():
    looked = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True)
    # Without it, 91,520 pages of 4 kB.
    assert int(looked.stdout) < 1000
