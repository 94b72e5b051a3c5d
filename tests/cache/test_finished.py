"""Finished prompts of sets in the cache folder: kept under a name, bounded, and never in anybody's way."""

from __future__ import annotations

import os

import numpy as np

from cache.finished import Finished
from core.sets.kept import InMemory

NAMES = [f"finished-{n}.sqlite" for n in range(3)]
VALUES = {"logit_diff": np.arange(20_000.0)}


def keep(finished: Finished, name: str) -> None:
    with finished.of(name) as kept:
        kept.keep("prompt", VALUES)


def test_what_is_kept_is_there_again_and_without_a_store_it_is_not(tmp_path):
    keep(Finished(tmp_path / "sets", 10**9), NAMES[0])
    with Finished(tmp_path / "sets", 10**9).of(NAMES[0]) as kept:
        assert "prompt" in kept and np.array_equal(kept.column("logit_diff", ["prompt"])[0], VALUES["logit_diff"])
    nothing = Finished(tmp_path / "none", 0)
    keep(nothing, NAMES[0])
    with nothing.of(NAMES[0]) as kept:
        assert "prompt" not in kept and not (tmp_path / "none").exists()


def test_the_files_used_longest_ago_go_first_and_all_at_once_when_the_store_is_emptied(tmp_path):
    finished = Finished(tmp_path, 250_000)
    for n, name in enumerate(NAMES):
        keep(finished, name)
        os.utime(tmp_path / name, (n, n))
    (tmp_path / "mine.txt").write_text("mine")
    with finished.of(NAMES[0]) as kept:
        assert "prompt" in kept, "the oldest is used just now, so the second one went"
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAMES[0], NAMES[2], "mine.txt"]
    finished.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_where_another_process_writes_or_the_folder_is_none_the_numbers_live_as_long_as_the_job(tmp_path):
    finished = Finished(tmp_path, 10**9)
    with finished.of(NAMES[0]) as first, finished.of(NAMES[0]) as second:
        assert isinstance(second, InMemory) and not isinstance(first, InMemory)
    (tmp_path / "file").write_text("")
    with Finished(tmp_path / "file", 10**9).of(NAMES[0]) as kept:
        kept.keep("prompt", VALUES)
