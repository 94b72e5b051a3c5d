"""The store gives back what was put, or nothing; and stays within its bound."""

from __future__ import annotations

import os
import random
import sqlite3
import threading

import pytest

from cache import answer_file
from cache import store as stores
from cache.store import FACTS, OLDEST, ROW, Store, Stored

BOUND = 4_000_000


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "there/answers.sqlite", BOUND)
    yield store
    store.close()


def size_on_disk(store: Store) -> int:
    store.close()  # the last connection writes the log into the file
    return os.path.getsize(store.path)


def test_what_was_put_is_there_for_whoever_opens_the_file_next(store):
    assert store.get("a") is None
    store.put("a", b"\0value", label="overview of fox")
    store.put("b", b"", complete=False)
    assert store.get("a") == Stored(b"\0value", True, "overview of fox")
    again = Store(store.path, BOUND)
    assert again.get("a") == store.get("a") and again.get("b") == Stored(b"", False)
    assert again.keys() == ("a", "b") and (again.stats().hits, again.stats().misses) == (2, 0)
    assert (store.stats().hits, store.stats().misses, store.stats().trouble) == (2, 1, "")


def test_a_complete_answer_is_replaced_by_complete_ones_only(store):
    store.put("a", b"begun", complete=False)
    store.put("a", b"half", complete=False)
    assert store.get("a") == Stored(b"half", False)
    store.put("a", b"whole")
    store.put("a", b"late half", complete=False)
    assert store.get("a") == Stored(b"whole", True)
    store.put("a", b"again")
    assert store.get("a") == Stored(b"again", True) and store.stats().entries == 1


def test_an_answer_of_another_format_is_not_read_and_gives_way(store, monkeypatch):
    store.put("a", b"old")
    monkeypatch.setattr(stores, "FORMAT", stores.FORMAT + 1)
    assert store.get("a") is None and store.keys() == ()
    store.put("a", b"begun anew", complete=False)
    assert store.get("a") == Stored(b"begun anew", False) and store.stats().trouble == ""


def test_facts_are_remembered_and_the_latest_ones_are_kept(store, monkeypatch):
    assert store.fact("weights") is None
    store.remember("weights", "abc")
    store.remember("weights", "déf")
    assert Store(store.path, BOUND).fact("weights") == "déf" and store.facts() == {"weights": "déf"}
    monkeypatch.setattr(stores, "FACTS", 3)
    for n in range(5):
        store.remember(str(n), "x")
    assert set(store.facts()) == {"2", "3", "4"} and FACTS > 1000


def test_the_least_recently_used_answers_go_first(store, monkeypatch):
    now = [1e9]
    monkeypatch.setattr(stores.time, "time", lambda: now[0])
    value = bytes(BOUND // 20)
    for key in "abcdefgh":
        now[0] += 100
        store.put(key, value)
    now[0] += 100
    assert store.get("a") and store.get("b")
    for key in "ijklmnopqrstuvw":
        now[0] += 1
        store.put(key, value)
    kept = store.keys()
    assert {"a", "b", "w"} <= set(kept) and "c" not in kept and "d" not in kept
    assert size_on_disk(store) <= BOUND


def test_a_hit_writes_nothing(store):
    for key in "abc":
        store.put(key, b"x")
    with sqlite3.connect(store.path) as other:
        before = other.execute("PRAGMA data_version").fetchone()
        assert all(store.get(key) for key in "abcabc")
        assert other.execute("PRAGMA data_version").fetchone() == before


def test_a_hundred_thousand_answers_stay_within_the_bound(tmp_path):
    bound, draw = 2_000_000, random.Random(0)
    store = Store(tmp_path / "answers.sqlite", bound)
    for first in range(0, 100_000, 500):
        numbers = range(first, first + 500)
        store.put_all((f"{n:064x}", Stored(draw.randbytes(draw.randrange(64)), True)) for n in numbers)
        assert store.stats().bytes <= bound
    stats = store.stats()
    assert stats.trouble == "" and stats.entries > 1000
    assert store.keys()[-1] == f"{99_999:064x}" and len(store.keys()) == stats.entries
    assert size_on_disk(store) <= bound


def test_a_hit_and_the_oldest_answers_are_found_by_an_index(store):
    store.put("a", b"x")
    with sqlite3.connect(store.path) as db:
        plan = [
            row[-1]
            for query in (stores.GET.replace("?", "'a'"), OLDEST)
            for row in db.execute(f"EXPLAIN QUERY PLAN {query}")
        ]
    assert len(plan) == 2 and "SEARCH answers USING INDEX" in plan[0] and "(key=?)" in plan[0]
    assert "SCAN answers USING INDEX answers_by_use" in plan[1]


def test_a_smaller_bound_cuts_an_existing_file_down(store):
    for n in range(60):
        store.put(str(n), bytes(50_000))
    assert size_on_disk(store) > BOUND // 2
    smaller = Store(store.path, BOUND // 4)
    smaller.put("new", b"x")
    assert smaller.get("new") and size_on_disk(smaller) <= BOUND // 4


def test_a_large_answer_leaves_no_large_log(tmp_path):
    store = Store(tmp_path / "answers.sqlite", 10**9)
    store.put("large", bytes(20 * 10**6))
    for n in range(3):
        store.put(str(n), bytes(5 * 10**6))
    assert os.path.getsize(f"{store.path}-wal") <= 6 * 10**6


def test_text_that_is_no_text_is_not_kept_and_not_fatal(store):
    store.put("a", b"x", label="\ud800")
    assert store.get("\ud800") is None and store.get("a") is None and store.stats().trouble


def test_one_answer_cannot_push_out_all_others(store):
    store.put("small", b"x")
    store.put("large", bytes(BOUND // 2 - ROW + 1))
    assert store.get("large") is None and store.get("small") and store.stats().trouble == ""


def test_a_bound_of_nothing_keeps_nothing_and_makes_no_file(tmp_path):
    store = Store(tmp_path / "answers.sqlite", 0)
    store.put("a", b"x")
    store.remember("a", "x")
    assert store.get("a") is None and store.fact("a") is None and store.keys() == ()
    assert not list(tmp_path.iterdir()) and store.stats().trouble == ""


def test_a_finished_file_is_read_and_never_touched(store):
    store.put("a", b"x")
    store.remember("weights", "abc")
    size_on_disk(store)
    before = store.path.read_bytes()
    finished = Store(store.path, 0, read_only=True)
    finished.put("b", b"x")
    finished.remember("b", "x")
    assert finished.get("a") == Stored(b"x", True) and finished.fact("weights") == "abc" and finished.get("b") is None
    finished.close()
    assert store.path.read_bytes() == before and [path.name for path in store.path.parent.iterdir()] == [
        "answers.sqlite"
    ]
    assert finished.stats().trouble == ""


def test_many_threads_read_and_write_at_once(store, monkeypatch):
    monkeypatch.setattr(answer_file, "BUSY", 600.0)  # a slow disk is no trouble here
    failures = []

    def work(owner: int) -> None:
        try:
            for n in range(60):
                key = str(n % 20)
                store.put(key, key.encode() * 100)
                assert store.get(key) == Stored(key.encode() * 100, True)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(owner,)) for owner in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and store.stats().entries == 20 and store.stats().trouble == ""
