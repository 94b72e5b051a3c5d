"""The dtype that runs, what it does to the gap, and cells recomputed beside in float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cache.models import InUse, Residents, TooLarge
from cache.questions import precision as precision_questions
from cache.service import Service
from core.experiment import Experiment
from core.models import memory, room
from core.models.loading import find_checkpoints
from core.models.pairs import registry
from core.models.room import bytes_needed
from core.settings import Settings

PATIENCE = 60
PLAN = {"site": "z", "direction": "instruct_to_base", "positions": "all"}
MEMBERS = ((2, 6), (0, 0), (3, 1))
COARSE = Experiment(dtype="bfloat16")


def result(job):
    assert job.wait(PATIENCE)
    if job.error is not None:
        raise job.error
    return job.result


@pytest.fixture(scope="module")
def service():
    service = Service(Settings())
    yield service
    assert service.worker.stop()


@pytest.fixture
def own_half(tmp_path):
    """Settings whose listed pair "half" is the tiny one, named in bfloat16."""
    tiny = registry()["tiny"]
    file = tmp_path / "pairs.toml"
    file.write_text(f'[[pair]]\nid = "half"\nbase = "{tiny.base}"\ninstruct = "{tiny.instruct}"\ndtype = "bfloat16"\n')
    return Settings(pairs=file, device="cpu")


def keys(service) -> set:
    return {entry.key for entry in service.stages.residents.snapshot()}


def test_the_gap_of_a_half_is_shown_beside_that_of_the_stored_dtype(service):
    found = result(service.ask("stored_gap", COARSE, "me"))
    fine = result(service.ask("overview", replace(COARSE, dtype="float32"), "me")).summary.gap
    coarse = result(service.ask("overview", COARSE, "me"))
    assert (found.dtype, found.stored) == ("bfloat16", "float16") == (coarse.dtype, coarse.stored_dtype)
    assert found.reference == "float32"
    assert found.gap == coarse.summary.gap and found.stored_gap == fine != found.gap
    assert keys(service) == {"tiny in bfloat16", "tiny in float32"}


def test_recomputed_cells_are_those_of_a_float32_sweep(service):
    found = result(service.ask("recomputed", COARSE, "me", members=MEMBERS, **PLAN))
    fine = result(service.ask("sweep", replace(COARSE, dtype="float32"), "me", **PLAN))
    coarse = result(service.ask("sweep", COARSE, "me", **PLAN))
    np.testing.assert_allclose(found.logit_diff, [fine.logit_diff[m] for m in MEMBERS], rtol=0, atol=1e-5)
    assert np.abs(found.logit_diff - [coarse.logit_diff[m] for m in MEMBERS]).max() > 1e-4
    assert max(found.noise_floor) < 1e-4 < max(coarse.gap.floor.thirds)


def test_the_answer_compared_is_the_one_of_the_dtype_on_screen(service):
    """Left open, each dtype could suggest an answer of its own."""
    seen = []
    with service.stages.work(COARSE, service.spec(COARSE), _Quiet()) as work, work.beside("float32") as runs:
        seen.append(runs.prompt == work.runs.prompt)
    assert seen == [True]


class _Quiet:
    def progress(self, *args) -> None:
        pass


def test_where_both_do_not_fit_the_gap_is_shown_alone_with_the_reason_and_cells_are_refused():
    checkpoints = find_checkpoints(registry()["tiny"])
    both = bytes_needed(checkpoints, "bfloat16") + bytes_needed(checkpoints, "float32")
    service = Service(Settings(memory_gb=(both - 1) / 1e9))
    try:
        found = result(service.ask("stored_gap", COARSE, "me"))
        assert np.isfinite(found.gap) and np.isnan(found.stored_gap) and "beside" in found.reason
        with pytest.raises(ValueError, match="beside"):
            result(service.ask("recomputed", COARSE, "me", members=MEMBERS, **PLAN))
        assert keys(service) == {"tiny in bfloat16"}
    finally:
        assert service.worker.stop()


def test_a_gap_whose_second_models_must_wait_is_asked_again_and_not_answered_without_them(service):
    def in_use(dtype: str):
        raise InUse("'tiny in float32' needs 1.0 GB beside 6.0 GB in use", "pair")

    with service.stages.work(COARSE, service.spec(COARSE), _Quiet()) as work:
        with pytest.raises(InUse):
            precision_questions.stored_gap(replace(work, beside=in_use))


def test_memory_that_is_short_for_a_moment_is_asked_for_again(monkeypatch):
    free = memory.free_bytes
    service = Service(Settings(memory_gb=10.0))
    monkeypatch.setattr(precision_questions, "RETRY", -1.0)
    try:
        result(service.ask("overview", COARSE, "me"))
        monkeypatch.setattr(room, "free_bytes", lambda device: 0)
        assert "free" in result(service.ask("stored_gap", COARSE, "me")).reason
        monkeypatch.setattr(room, "free_bytes", free)
        assert np.isfinite(result(service.ask("stored_gap", COARSE, "me")).stored_gap)
    finally:
        assert service.worker.stop()


def test_a_pair_named_in_half_precision_runs_in_float32_on_a_cpu_unless_somebody_asks(own_half):
    for settings, dtype, ran in (
        (own_half, "", "float32"),
        (own_half, "bfloat16", "bfloat16"),
        (replace(own_half, dtype="bfloat16"), "", "bfloat16"),
    ):
        service = Service(settings)
        try:
            found = result(service.ask("overview", Experiment(pair="half", dtype=dtype), "me"))
            assert (found.dtype, found.own_dtype) == (ran, "bfloat16")
            assert keys(service) == {f"half in {ran}"}
        finally:
            assert service.worker.stop()


def test_without_the_memory_for_float32_a_half_stays_one(own_half):
    need = bytes_needed(find_checkpoints(registry()["tiny"]), "float32")
    service = Service(replace(own_half, memory_gb=(need - 1) / 1e9))
    try:
        assert result(service.ask("overview", Experiment(pair="half"), "me")).dtype == "bfloat16"
    finally:
        assert service.worker.stop()


def test_what_must_stay_counts_and_what_is_unused_does_not():
    residents = Residents(lambda: 10)
    with residents.use("old", 4, lambda: None):
        pass
    with residents.use("here", 4, lambda: None):
        residents.check_beside("more", 6, "here")
        with pytest.raises(TooLarge, match="more"):
            residents.check_beside("more", 7, "here")
        with residents.use("more", 6, lambda: None):
            assert {entry.key for entry in residents.snapshot()} == {"here", "more"}
