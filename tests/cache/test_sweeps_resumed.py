"""A process that is killed in the middle of a sweep: the next one runs what is missing, and no number differs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from cache.job import wait_until
from core.experiment import Experiment
from core.patching import growing_pass
from tests.cache.processes import PATIENCE, Process
from tests.random_llama import random_llama
from tests.random_models import fine_tuned
from tests.random_tokenizers import byte_level

ROOT = Path(__file__).parents[2]
EXPERIMENT = Experiment(pair="square", answer="swift")
PLAN = {"site": "z", "direction": "instruct_to_base", "positions": "all"}
ROWS = 41  # a chunk, of 256 heads and 27 rows for the noise floor
HALF = 3  # of seven chunks


def in_small_chunks(monkeypatch, within=lambda: None) -> list[int]:
    """The size of each chunk that runs; `within` is called at the beginning of one."""
    sizes, grow = [], growing_pass._grow

    def counted(sources, rows, *given):
        within()
        sizes.append(len(rows))
        return grow(sources, rows, *given)

    monkeypatch.setattr(growing_pass, "_grow", counted)
    monkeypatch.setattr(growing_pass, "rows_per_chunk", lambda *given: ROWS)
    return sizes


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """A pair of 16 × 16 heads, and the file that lists it."""
    folder = tmp_path_factory.mktemp("square")
    base = random_llama(layers=16, heads=16, d_model=64, d_head=8, d_mlp=128)
    for name, model in (("base", base), ("instruct", fine_tuned(base, size=0.03))):
        model.save_pretrained(folder / name)
        byte_level().save_pretrained(folder / name)
    listed = folder / "pairs.toml"
    listed.write_text('[[pair]]\nid = "square"\nbase = "./base"\ninstruct = "./instruct"\n')
    return listed


def killed_within_the_chunk_after(count: int, cache: Path, pairs: Path) -> None:
    """What the process that is killed runs; what it has handed to its writer by then is on disk."""
    monkeypatch = pytest.MonkeyPatch()
    process = Process(cache, pairs)

    def kill() -> None:
        if len(sizes) == count:
            assert process.answers.flush(PATIENCE)
            signal.raise_signal(signal.SIGKILL)

    sizes = in_small_chunks(monkeypatch, kill)
    process.answer("sweep", EXPERIMENT, **PLAN)


def test_a_sweep_killed_at_half_goes_on_with_the_missing_cells(tmp_path, pairs, monkeypatch):
    here = "tests.cache.test_sweeps_resumed"
    code = f"from pathlib import Path; import {here} as t; t.killed_within_the_chunk_after("
    code += f"{HALF}, Path({str(tmp_path / 'cache')!r}), Path({str(pairs)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL, done.stderr

    sizes = in_small_chunks(monkeypatch)
    process = Process(tmp_path / "cache", pairs)
    resumed = process.answer("sweep", EXPERIMENT, **PLAN)
    # Of the chunk that it was killed in nothing is kept; no other one is run again.
    again = list(sizes)
    sizes.clear()
    process.end()
    other = Process(tmp_path / "other", pairs)
    whole = other.answer("sweep", EXPERIMENT, **PLAN)
    other.end()
    assert again == sizes[HALF:] and len(sizes) == 7
    pd.testing.assert_frame_equal(resumed.to_frame(), whole.to_frame(), check_exact=True)
    assert resumed.gap == whole.gap

    sizes.clear()
    last = Process(tmp_path / "cache", pairs)
    pd.testing.assert_frame_equal(last.answer("sweep", EXPERIMENT, **PLAN).to_frame(), whole.to_frame())
    last.end()
    assert last.computed == [] and sizes == []


def test_a_cancelled_sweep_goes_on_where_it_was_left(tmp_path, pairs, monkeypatch):
    process = Process(tmp_path / "cache", pairs)

    def leave() -> None:
        if len(sizes) == HALF:
            process.service.worker.release("me")

    sizes = in_small_chunks(monkeypatch, leave)
    job = process.service.ask("sweep", EXPERIMENT, "me", **PLAN)
    assert job.wait(PATIENCE) and job.state == "cancelled"
    process.answer("sweep", EXPERIMENT, **PLAN)
    process.end()
    # The chunk in which it was left runs once more.
    assert len(sizes) == 7 + 1


def test_a_sweep_that_the_services_end_cuts_short_goes_on_in_the_next_process(tmp_path, pairs, monkeypatch):
    ending, first = [], Process(tmp_path / "cache", pairs)

    def end() -> None:
        if len(sizes) == HALF:
            ending.append(threading.Thread(target=first.service.close, args=(PATIENCE,)))
            ending[0].start()
            assert wait_until(lambda: first.service.worker.status().owners == 0, PATIENCE)

    sizes = in_small_chunks(monkeypatch, end)
    job = first.service.ask("sweep", EXPERIMENT, "me", **PLAN)
    assert job.wait(PATIENCE) and job.state == "cancelled"
    ending[0].join()
    with pytest.raises(RuntimeError, match="no more jobs"):
        first.service.ask("sweep", EXPERIMENT, "me", **PLAN)
    second = Process(tmp_path / "cache", pairs)
    second.answer("sweep", EXPERIMENT, **PLAN)
    second.end()
    assert len(sizes) == 7 + 1
