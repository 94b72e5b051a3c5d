"""A store of 100,000 answers at its bound: what keeping one and finding one take, and what it takes to read it."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cache.encoding import decode, encode
from cache.store import Store
from core.patching.gap import Gap
from core.patching.results import Sweep

ENTRIES = 100_000
HITS = 2_000
BOUND = 400 * 10**6
SWEEP = Sweep("z", "all", Gap("instruct_to_base", -4.0, 4.0), np.random.default_rng(0).random((30, 9), "float32"))


def milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def percentiles(times: list[float]) -> str:
    return f"median {statistics.median(times):.3f} ms, 99% {sorted(times)[int(0.99 * len(times))]:.3f} ms"


def main() -> None:
    draw, answer = random.Random(0), encode(SWEEP, Sweep)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "answers.sqlite", BOUND)
        key = "{:064x}".format
        puts = [milliseconds(lambda: store.put(key(n), answer + draw.randbytes(2000))) for n in range(ENTRIES)]
        kept = store.keys()
        chosen = draw.choices(kept, k=HITS)
        hits = [milliseconds(lambda: store.get(each)) for each in chosen]
        reads = [milliseconds(lambda: decode(answer, Sweep)) for _ in range(HITS)]
        opened = milliseconds(lambda: Store(store.path, BOUND).get(chosen[0]))
        stats = store.stats()
        store.close()
    print(f"{stats.entries:,} of {ENTRIES:,} answers in {stats.bytes / 1e6:.0f} MB, bound {stats.limit / 1e6:.0f} MB")
    print(f"put: {percentiles(puts)}; hit: {percentiles(hits)}; opened and hit: {opened:.2f} ms")
    print(f"a sweep of 270 heads, {len(answer):,} bytes, decoded: {percentiles(reads)}")


if __name__ == "__main__":
    main()
