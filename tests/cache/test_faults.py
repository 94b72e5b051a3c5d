"""What breaks within a question breaks that question: the next ones get right answers, whatever it was.

The worker's thread that ends is tests.cache.test_watched's, memory that runs out within a chunk that of
tests.core.test_patching_shortage, a full disk under the store that of tests.cache.test_store_damage, SIGTERM that of
tests.hosting.test_ending.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cache import answer_file
from cache.service import Service
from core.experiment import Experiment
from core.models.loading import load_pair
from core.models.pairs import registry
from core.patching.growth import Growth
from core.patching.sweeps import sweep
from core.runs import run
from core.settings import Settings
from tests.cache.options import OPTIONS
from tests.cache.processes import Process

PATIENCE = 60
PLAN = {"site": "z", "direction": "instruct_to_base", "positions": "all", "frozen_patterns": False}
TINY = registry()["tiny"]
MINE = Experiment(pair="mine")


@pytest.fixture(scope="module")
def alone():
    """The default prompt's sweep, computed without any worker."""
    runs = run(Experiment(), load_pair(TINY))
    return sweep(runs.recordings, runs.prompt, **PLAN).logit_diff


@pytest.fixture
def service():
    service = Service(Settings())
    yield service
    assert service.worker.stop(PATIENCE)


def asked(service: Service, question: str, experiment: Experiment = Experiment(), owner: str = "me", **options):
    job = service.ask(question, experiment, owner, **options)
    assert job.wait(PATIENCE)
    return job


ERRORS = {
    "torch's own": RuntimeError("The size of tensor a (3) must match the size of tensor b (4) at dimension 1"),
    "the device's": torch.AcceleratorError("CUDA error: device-side assert triggered"),
    "a library's end of the process": SystemExit(3),
}


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_within_a_hook_fails_its_sweep_alone_and_no_hook_stays(service, alone, monkeypatch, what):
    write, left = Growth._writes, [ERRORS[what]]

    def writes(self, *given):
        for name, hook in write(self, *given):

            def failing(x, hook, write=hook):
                if left:
                    raise left.pop()
                return write(x, hook)

            yield name, failing

    monkeypatch.setattr(Growth, "_writes", writes)
    before = asked(service, "overview").result
    failed = asked(service, "sweep", **PLAN)
    assert (failed.state, left) == ("failed", []) and type(failed.error) is type(ERRORS[what])
    # No frame of it is kept, and with it no model and no activation.
    assert failed.error.__traceback__ is None or failed.error.__traceback__.tb_frame.f_locals == {}
    service.worker.clear()
    again = asked(service, "overview", owner="another").result
    np.testing.assert_array_equal(again.summary.logit_diff, before.summary.logit_diff)
    np.testing.assert_array_equal(asked(service, "sweep", owner="another", **PLAN).result.logit_diff, alone)


@pytest.fixture
def mine(tmp_path) -> tuple[Path, Path]:
    """A pairs file of a copy of the tiny pair, and the copy's INSTRUCT."""
    for name in ("base", "instruct"):
        shutil.copytree(getattr(TINY, name), tmp_path / name)
    (tmp_path / "pairs.toml").write_text('[[pair]]\nid = "mine"\nbase = "./base"\ninstruct = "./instruct"\n')
    return tmp_path / "pairs.toml", tmp_path / "instruct/model.safetensors"


@pytest.mark.parametrize("how", ["renamed over", "cut short", "deleted"])
def test_a_resident_model_answers_as_it_was_loaded_whatever_becomes_of_its_file(mine, alone, tmp_path, how):
    pairs, weights = mine
    process = Process(tmp_path / "cache", pairs)
    process.answer("overview", MINE)
    if how == "renamed over":
        shutil.copy(Path(TINY.base) / weights.name, tmp_path / "other")
        os.replace(tmp_path / "other", weights)
    elif how == "cut short":
        # In its place, as a download would write it anew: the same file, of which the weights may still be pages.
        os.truncate(weights, 1000)
    else:
        weights.unlink()
    found = process.answer("sweep", MINE, **PLAN)
    np.testing.assert_array_equal(found.logit_diff, alone)
    process.end()


def test_a_full_disk_loses_what_would_be_kept_and_no_answer(tmp_path, monkeypatch, alone, caplog):
    process = Process(tmp_path / "cache")

    def full(*given, **how):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cache.finished.OnDisk", full)
    monkeypatch.setattr("pathlib.Path.touch", full)
    opened = answer_file._writable

    def as_large_as_it_is(path):
        db = opened(path)
        db.execute("PRAGMA max_page_count = 1")
        return db

    monkeypatch.setattr(answer_file, "_writable", as_large_as_it_is)
    process.answers.store._file.close()
    np.testing.assert_array_equal(process.answer("sweep", **PLAN).logit_diff, alone)
    for question in ("overview", "attention", "attribution"):
        process.answer(question, replace(Experiment(), sentence="The quick dog runs."), **OPTIONS[question])
    assert process.answers.flush(PATIENCE) and "database or disk is full" in caplog.text
    process.end()
    monkeypatch.undo()
    second = Process(tmp_path / "cache")
    np.testing.assert_array_equal(second.answer("sweep", **PLAN).logit_diff, alone)
    second.answer("attention", replace(Experiment(), sentence="The quick dog runs."), **OPTIONS["attention"])
    assert second.computed
    second.end()
