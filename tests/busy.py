"""Every core busy until this is stopped: `python -m tests.busy`, beside tests that wait for something.

A test that decides by the clock fails beside it; one that waits for what happens is only slower.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Barrier


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute(parent: int, begun: Barrier) -> None:
    begun.wait()
    # However the parent ended: nobody is left to stop this one.
    while os.getppid() == parent:
        sum(range(100_000))


def main() -> None:
    context = multiprocessing.get_context("spawn")
    begun = context.Barrier(cores() + 1)
    processes = [context.Process(target=compute, args=(os.getpid(), begun), daemon=True) for _ in range(cores())]
    for process in processes:
        process.start()
    begun.wait()
    print(f"{cores()} cores are busy", flush=True)
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
