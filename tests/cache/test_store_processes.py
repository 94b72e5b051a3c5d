"""Many processes on one store: killed in the middle of a write, or writing the same key at once."""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from types import ModuleType

import pytest

from cache.store import Store, Stored
from tests.cache.writers import BOUND, value_of, write_for_ever, write_one_key

KILLS = 50
PATIENCE = 120


@pytest.fixture
def processes(monkeypatch):
    """Children that start in a moment: forked from a process that has imported the store and nothing else."""
    # Children run their parent's main script first; after a test of a page that is a page.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.cache.writers"])
    return context


def writer_of(processes, path, name: str):
    """A process that writes for ever, and where it tells what it has written."""
    reading, telling = processes.Pipe(duplex=False)
    writer = processes.Process(target=write_for_ever, args=(path, name, telling), daemon=True)
    writer.start()
    telling.close()
    return writer, reading


def killed(processes, path, name: str, draw: random.Random) -> list[str]:
    """What a writer told before it was killed, some acknowledged answers and a random moment after its start."""
    writer, reading = writer_of(processes, path, name)
    told = []
    for _ in range(draw.randrange(1, 12)):
        assert reading.poll(PATIENCE)
        told.append(reading.recv())
    time.sleep(draw.random() * 0.005)  # the moment within a write; it decides nothing
    writer.kill()
    writer.join()
    try:
        while True:
            told.append(reading.recv())
    except EOFError:
        return told


def test_a_killed_writer_loses_nothing_it_was_told_is_kept_and_leaves_nothing_wrong(processes, tmp_path):
    draw, everything, path = random.Random(0), [], tmp_path / "answers.sqlite"
    for n in range(KILLS):
        told = killed(processes, path, f"writer {n}", draw)
        store = Store(path, BOUND)
        assert all(store.get(key) == Stored(value_of(key), True) and store.fact(key) == key for key in told)
        assert store.stats().trouble == ""
        store.close()
        everything += told
    store = Store(path, BOUND)
    assert set(everything) <= set(store.keys()) and len(store.keys()) <= len(everything) + KILLS
    assert all(store.get(key) == Stored(value_of(key), True) for key in store.keys())
    assert store.stats().trouble == "" and not list(tmp_path.glob("*.damaged-*"))


def test_a_file_that_is_being_written_is_opened_by_others(processes, tmp_path):
    path = tmp_path / "answers.sqlite"
    writer, reading = writer_of(processes, path, "writer")
    for _ in range(200):
        assert reading.poll(PATIENCE)
        key, store = reading.recv(), Store(path, BOUND)
        assert store.get(key) == Stored(value_of(key), True) and store.stats().trouble == ""
        store.close()
    writer.kill()
    writer.join()
    assert not list(tmp_path.glob("*.damaged-*"))


def test_two_processes_that_write_one_key_leave_the_whole_answer_of_one(processes, tmp_path):
    path, names = tmp_path / "answers.sqlite", ("one", "two")
    writers = [processes.Process(target=write_one_key, args=(path, name, 100), daemon=True) for name in names]
    for writer in writers:
        writer.start()
    store = Store(path, BOUND)
    while any(writer.is_alive() for writer in writers):
        found = store.get("shared")
        assert found is None or whole(found.value)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert whole(store.get("shared").value) and store.stats().entries == 1 and store.stats().trouble == ""


def whole(value: bytes) -> bool:
    name, number = value.split()[:2]
    return name in (b"one", b"two") and value == b"%s %s " % (name, number) * 500
