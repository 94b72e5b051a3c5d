"""The dtype that nobody chose: one for all answers of a pair, whatever machine computed the first of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.bundles import read_bundle, write_bundle
from cache.identity import fact_of, portable
from cache.store import Store
from core.experiment import Experiment
from core.models import dtype
from core.models.loading import find_checkpoints
from core.models.pairs import registry
from core.models.room import bytes_needed
from core.settings import Settings
from tests.cache.processes import STORE_BYTES, Process

HALF = Experiment(pair="half")
TINY = registry()["tiny"]


@pytest.fixture
def pairs(tmp_path) -> Path:
    """A file with the tiny pair in half precision, which a CPU runs in float32 and a GPU as it is."""
    file = tmp_path / "pairs.toml"
    file.write_text(f'[[pair]]\nid = "half"\nbase = "{TINY.base}"\ninstruct = "{TINY.instruct}"\ndtype = "bfloat16"\n')
    return file


@pytest.fixture
def bundle(tmp_path, pairs, monkeypatch) -> Path:
    """The overview as a machine with a GPU computed it."""
    with monkeypatch.context() as gpu:
        gpu.setattr(dtype, "fitting_dtype", lambda own, *room: own)
        box = Process(tmp_path / "box", pairs=pairs)
        assert box.answer("overview", HALF).dtype == "bfloat16"
        box.end()
    store, file = box.answers.store, tmp_path / "bundle.sqlite"
    write_bundle((store,), store.keys(), portable(store.facts()), file)
    return file


@pytest.fixture
def laptop(tmp_path, pairs):
    """One process after another on a machine with a CPU alone, all with the same store."""
    begun: list[Process] = []

    def start(**how) -> Process:
        for running in begun:
            running.end()
        begun[:] = [Process(tmp_path / "laptop", pairs=pairs, **how)]
        return begun[0]

    yield start
    begun[0].end()


def resident(process: Process) -> list:
    return [each.key for each in process.service.stages.residents.snapshot()]


def taken_over(bundle: Path, tmp_path: Path) -> None:
    store = Store(Settings(cache=tmp_path / "laptop").store_file, STORE_BYTES)
    read_bundle(bundle, store)
    store.close()


@pytest.mark.parametrize("how", ["opened", "taken over"])
def test_what_a_bundle_lacks_is_computed_in_the_dtype_of_what_it_holds(bundle, laptop, tmp_path, how):
    if how == "taken over":
        taken_over(bundle, tmp_path)
    opened = {"bundle": bundle} if how == "opened" else {}
    for _ in range(2):
        process = laptop(**opened)
        assert process.answer("overview", HALF).dtype == "bfloat16"
        process.answer("attribution", HALF)
        assert process.answer("overview", HALF).dtype == "bfloat16" and "overview" not in process.computed
        assert resident(process) in (["half in bfloat16"], [])
    assert process.computed == []


def test_what_a_machine_has_resolved_stays_when_a_bundle_is_taken_over(bundle, laptop, tmp_path):
    assert laptop().answer("overview", HALF).dtype == "float32"
    laptop().end()
    taken_over(bundle, tmp_path)
    again = laptop()
    assert again.answer("overview", HALF).dtype == "float32" and again.computed == []


def test_a_bundle_that_is_opened_goes_before_what_the_machine_has_resolved_and_leaves_it(bundle, laptop):
    assert laptop().answer("overview", HALF).dtype == "float32"
    opened = laptop(bundle=bundle)
    assert opened.answer("overview", HALF).dtype == "bfloat16"
    opened.answer("attribution", HALF)
    assert resident(opened) == ["half in bfloat16"]
    without = laptop()
    assert without.answer("overview", HALF).dtype == "float32" and without.computed == []


def test_a_dtype_that_does_not_fit_here_or_that_nothing_resolves_to_is_resolved_anew(pairs, tmp_path):
    need = bytes_needed(find_checkpoints(TINY), "float32")
    for said, room in (("float32", (need - 1) / 1e9), ("float64", None), ("nonsense", None)):
        process = Process(tmp_path / said, pairs=pairs, memory_gb=room)
        spec = process.service.spec(HALF)
        process.answers.remember(fact_of(spec, "dtype"), said)
        ran = process.answer("overview", HALF).dtype
        assert ran == ("bfloat16" if room else "float32") == process.answers.dtype(spec)
        process.end()
