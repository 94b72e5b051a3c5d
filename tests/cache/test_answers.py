"""Answers that outlive a process: found without torch, of the right weights only, and gone on with where broken off."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cache.answers import GALLERY, Answers
from cache.bundles import write_bundle
from cache.encoding import encode
from cache.identity import fact_of, portable
from cache.labels import read_label
from cache.questions.catalogue import QUESTIONS
from cache.store import Store
from core.experiment import Experiment, InputError
from core.models import loading
from core.models.pairs import registry
from core.precision import StoredGap
from core.settings import Settings
from tests.cache.options import OPTIONS, PLAN
from tests.cache.processes import PATIENCE, Process

ROOT = Path(__file__).parents[2]
MB = 10**6


@pytest.fixture
def process(tmp_path):
    """One process after another, all with the same store."""
    begun: list[Process] = []

    def start(**how) -> Process:
        for running in begun:
            running.end()
        begun.append(Process(tmp_path / "cache", **how))
        return begun[-1]

    yield start
    begun[-1].end()


@pytest.fixture
def copied(tmp_path) -> tuple[Path, Experiment]:
    """A file of pairs with one that lies in a folder of its own, and an experiment on it."""
    tiny = registry()["tiny"]
    for name in ("base", "instruct"):
        shutil.copytree(getattr(tiny, name), tmp_path / "weights" / name)
    file = tmp_path / "pairs.toml"
    file.write_text('[[pair]]\nid = "mine"\nbase = "./weights/base"\ninstruct = "./weights/instruct"\n')
    return file, Experiment(pair="mine")


def test_every_question_is_asked_here():
    assert OPTIONS.keys() == QUESTIONS.keys()


def test_every_answer_is_found_by_the_next_process_as_it_was(process):
    first = process()
    answers = {name: first.answer(name, **options) for name, options in OPTIONS.items()}
    assert sorted(first.computed) == sorted(QUESTIONS)
    second = process()
    for name, options in OPTIONS.items():
        job = second.service.ask(name, Experiment(), "me", **options)
        assert job.finished, name
        expected = answers[name]
        if name == "overview":
            expected = replace(expected, seconds={"load": 0.0, "record": 0.0})
        assert encode(job.result, QUESTIONS[name].kind) == encode(expected, QUESTIONS[name].kind), name
    assert second.computed == []


FRESH = """import sys
from pathlib import Path
from cache.answers import Answers
from cache.service import Service
from cache.store import Store
from core.experiment import Experiment
from core.settings import Settings
settings = Settings(cache=Path(sys.argv[1]))
service = Service(settings, answers=Answers(settings, Store(settings.store_file, 10**8)))
job = service.ask("overview", Experiment(), "me")
assert job.finished and job.result.summary.gap > 0 and job.result.seconds["record"] == 0
assert not {"torch", "transformers", "transformer_lens"} & set(sys.modules)
"""


def test_what_is_found_wakes_no_torch(process, tmp_path):
    process().answer("overview")
    process()
    command = [sys.executable, "-c", FRESH, str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_another_prompt_or_dtype_is_computed(process):
    process().answer("overview")
    second = process()
    second.answer("overview", Experiment(sentence="The quick dog jumps over the fox."))
    second.answer("overview", Experiment(dtype="float64"))
    second.answer("overview", Experiment(dtype="float32"))
    assert second.computed == ["overview", "overview"]


def test_a_failure_is_computed_again(process):
    refused = Experiment(answer="no such word of one token")
    for _ in range(2):
        each = process()
        with pytest.raises(InputError):
            each.answer("overview", refused)
        assert each.computed == ["overview"]


def test_what_holds_on_this_machine_alone_is_not_kept():
    lasts = QUESTIONS["stored_gap"].lasts
    gap = StoredGap("bfloat16", "float32", "float32", 1.0, 1.5)
    assert lasts(gap) and not lasts(replace(gap, reason="both do not fit"))


def test_changed_weights_are_another_pair_and_leave_the_old_answers_alone(process, copied):
    pairs, mine = copied
    first = process(pairs=pairs)
    before = first.answer("overview", mine)
    weights = pairs.parent / "weights" / "instruct" / "model.safetensors"
    original = weights.read_bytes()
    weights.write_bytes((pairs.parent / "weights" / "base" / "model.safetensors").read_bytes())
    # What is resident is what was loaded, whatever lies on disk by now.
    first.answer("overview", replace(mine, answer="fast"))
    second = process(pairs=pairs)
    changed = second.answer("overview", mine)
    second.answer("overview", replace(mine, answer="fast"))
    assert second.computed == ["overview", "overview"] and abs(changed.summary.gap) < 1e-6 < before.summary.gap
    weights.write_bytes(original)
    third = process(pairs=pairs)
    assert third.answer("overview", mine).summary.gap == before.summary.gap and third.computed == []


def test_what_was_computed_while_its_weights_were_replaced_is_not_kept(process, copied, monkeypatch):
    pairs, mine = copied
    weights, load = pairs.parent / "weights", loading.load_pair

    def replaced_meanwhile(*args, **how):
        pair = load(*args, **how)
        shutil.copy(weights / "base" / "model.safetensors", weights / "instruct" / "model.safetensors")
        return pair

    monkeypatch.setattr(loading, "load_pair", replaced_meanwhile)
    assert process(pairs=pairs).answer("overview", mine).summary.gap > 0.1
    monkeypatch.undo()
    second = process(pairs=pairs)
    assert abs(second.answer("overview", mine).summary.gap) < 1e-6 and second.computed == ["overview"]


def test_another_name_of_the_same_weights_has_the_same_answers_under_its_own_name(process, copied):
    pairs, mine = copied
    process(pairs=pairs).answer("overview", mine)
    second = process(pairs=pairs)
    assert second.answer("overview").pair == "tiny" and second.computed == []


def test_a_pair_with_another_dtype_of_its_own_finds_them_with_that_dtype(process, copied):
    pairs, mine = copied
    process(pairs=pairs).answer("overview", replace(mine, dtype="float32"))
    pairs.write_text(pairs.read_text() + 'dtype = "bfloat16"\n')
    second = process(pairs=pairs.rename(pairs.with_name("others.toml")))
    found = second.answer("overview", replace(mine, dtype="float32"))
    assert (found.dtype, found.own_dtype) == ("float32", "bfloat16") and second.computed == []


def test_what_is_kept_is_shown_whatever_may_be_computed_here(process):
    process().answer("overview")
    short = process(max_tokens=5)
    assert len(short.answer("overview").prompt.ids) > 5 and short.computed == []
    with pytest.raises(InputError, match="at most 5 can be analysed"):
        short.answer("attribution")


def test_a_sweep_neither_hashes_large_weights_nor_waits_until_they_are(process, monkeypatch):
    """The thread that writes is held: a job that waited for its hashes would never finish."""
    monkeypatch.setattr("cache.identity.AT_ONCE", 0)
    monkeypatch.setattr("cache.answers.MOMENT", None)
    first, go_on = process(), threading.Event()

    def hash_file(self, file):
        assert threading.current_thread().name == "writer"
        return go_on.wait(PATIENCE) and "hashed"

    monkeypatch.setattr("cache.identity.Identities._hash", hash_file)
    first.answer("overview")
    try:
        assert first.answer("sweep", **PLAN).logit_diff.size
    finally:
        go_on.set()


def test_a_bundle_of_somebodys_own_models_carries_no_path(process, copied, tmp_path):
    pairs, _ = copied
    base, instruct = (str(pairs.parent / "weights" / name) for name in ("base", "instruct"))
    own = Experiment(pair="", base=base, instruct=instruct)
    first = process()
    for name in ("overview", "continuation", "sweep"):
        first.answer(name, own, **OPTIONS[name])
    first.end()
    store, file = first.answers.store, tmp_path / "talk.sqlite"
    write_bundle((store,), store.keys(), portable(store.facts()), file)
    assert str(tmp_path).encode() not in file.read_bytes()
    held = Store(file, 0, read_only=True)
    assert {read_label(text).about[:15] for text in held.labels().values()} == {"base → instruct"}
    shutil.rmtree(pairs.parent / "weights")
    assert process(bundle=file).answer("overview", own).pair == f"{base}|{instruct}"


def test_without_its_weights_a_pair_shows_what_is_kept_and_says_what_the_rest_needs(process, copied):
    pairs, mine = copied
    kept = process(pairs=pairs).answer("sweep", mine, **PLAN)
    shutil.rmtree(pairs.parent / "weights")
    second = process(pairs=pairs)
    np.testing.assert_array_equal(second.answer("sweep", mine, **PLAN).logit_diff, kept.logit_diff)
    with pytest.raises(InputError, match="not in this replay: needs the weights of mine; .*weights") as refused:
        second.answer("estimate", mine, site="z", direction="instruct_to_base")
    assert refused.value.field == "pair"


def test_a_bundle_is_read_beside_the_store_and_starts_no_download(process, tmp_path, monkeypatch):
    """A bundle of a pair of the hub that was never here: only its identity is known."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("cache.answers.weights_here", lambda spec, commits=("", ""): None)
    pairs, hub = tmp_path / "pairs.toml", Experiment(pair="far")
    pairs.write_text('[[pair]]\nid = "far"\nbase = "owner/base"\ninstruct = "owner/tuned"\ndtype = "bfloat16"\n')
    bundle = Store(tmp_path / "bundle.sqlite", MB)
    asked = process(pairs=pairs).service.asked("continuation", hub, {"model": "base"})
    bundle.remember(fact_of(asked.spec, "identity"), "named")
    bundle.remember(fact_of(asked.spec, "dtype"), "bfloat16")
    bundle.put(asked.key("named", "bfloat16"), encode("fast", str))
    bundle.close()
    replay = process(pairs=pairs, bundle=tmp_path / "bundle.sqlite")
    assert replay.answer("continuation", hub, model="base") == "fast"
    with pytest.raises(InputError, match="not in this replay.*fetch owner/base and owner/tuned"):
        replay.answer("continuation", hub, model="instruct")


def test_a_damaged_store_costs_a_computation_and_nothing_else(process, tmp_path):
    process().answer("overview")
    process().end()
    path = Settings(cache=tmp_path / "cache").store_file
    path.write_bytes(path.read_bytes()[: 4096 + 100])
    again = process()
    assert again.answer("overview").summary.gap > 0


def test_warming_loads_the_pair_although_its_answers_are_kept(process):
    first = process(pair="tiny")
    first.answer("overview")
    second = process(pair="tiny")
    second.service.warm()
    assert second.answer("overview").seconds["load"] == 0
    ready = second.service.worker.submit("later", lambda ctx: "done", owner="me", group="other")
    assert ready.wait(PATIENCE) and [resident.key for resident in second.service.stages.residents.snapshot()]


def test_without_a_store_bundles_are_read_and_without_the_shipped_one_only_a_named_one(tmp_path):
    bundle = Store(tmp_path / "bundle.sqlite", MB)
    bundle.remember("a fact", "of a file that is there")
    bundle.close()
    unkept = Answers.of(Settings(store_mb=0, cache=tmp_path))
    nothing = Answers.of(Settings(store_mb=0, shipped=False, cache=tmp_path))
    named = Answers.of(Settings(store_mb=0, shipped=False, cache=tmp_path, gallery=tmp_path / "bundle.sqlite"))
    usual = Answers.of(Settings(cache=tmp_path))
    assert unkept.store is None and [place.path for place in unkept.places] == [GALLERY]
    assert nothing.places == () and [place.path.name for place in named.places] == ["bundle.sqlite"]
    assert usual.places[0].path == usual.store.path == tmp_path / "answers.sqlite"
