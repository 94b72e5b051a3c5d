"""How much memory a device has free."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

GB = 10**9
SHARE = 0.8  # of the free memory that models may take; the rest is for activations, and for everybody else
CGROUP = Path("/sys/fs/cgroup")
_TRIM, _MMAP = -1, -3  # glibc's names of what is kept at most, and of what is too large to come from what is kept
_KEPT, _LARGE = 256 * 2**20, 32 * 2**20


@cache
def keep_freed() -> None:
    """Have the C library keep what one tensor frees for the next; once a process, nothing where it is not glibc.

    Else it hands the pages back each time, and the next tensor has them cleared anew, one fault each: a fifth of the
    time of a small model's passes. What is kept beyond use stays within 256 MB; a tensor above 32 MB is not kept.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_TRIM, _KEPT)
        mallopt(_MMAP, _LARGE)


def free_bytes(device: str) -> int:
    """Bytes that `device` ("cpu", "cuda", "cuda:1", "mps") has free now, within the container's limit."""
    kind = device.partition(":")[0]
    if kind == "cuda":
        import torch

        # What torch holds in reserve is free for it, though not for the driver.
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(torch.device(device))[0] + reserve
    if kind == "mps":
        import torch

        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    import psutil

    return int(min(psutil.virtual_memory().available, _cgroup_free()))


def _cgroup_free() -> float:
    """What a container's limit leaves (cgroup v2); the page cache counts as free, since it is given back on demand."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return float("inf")
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        current = int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return float("inf")
    return max(0, int(limit) - current + int(stat.get("inactive_file", 0)))
