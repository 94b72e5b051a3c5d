"""Processes that write to a store: a module of their own, so that a child of the test imports nothing heavy."""

from __future__ import annotations

import random
from multiprocessing.connection import Connection
from pathlib import Path

from cache import answer_file
from cache.store import Store

BOUND = 10**9
answer_file.BUSY = 600.0  # a slow disk is no trouble here


def value_of(key: str) -> bytes:
    """What is put under a key; from some bytes to what fills the log and makes it be written into the file."""
    draw = random.Random(key)
    return draw.randbytes(draw.choice((10, 1000, 30_000, 200_000)))


def write_for_ever(path: Path, name: str, told: Connection) -> None:
    """Put answers and facts, and tell each key once `put` has returned."""
    store, n = Store(path, BOUND), 0
    while True:
        key = f"{name} {n}"
        store.put(key, value_of(key))
        store.remember(key, key)
        told.send(key)
        n += 1


def write_one_key(path: Path, name: str, times: int) -> None:
    """Put one key again and again, each time another value that says whose it is."""
    store = Store(path, BOUND)
    for n in range(times):
        store.put("shared", f"{name} {n} ".encode() * 500)
    if store.stats().trouble:
        raise RuntimeError(store.stats().trouble)
