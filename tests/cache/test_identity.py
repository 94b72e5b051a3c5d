"""What names the weights: changed by every byte that changes a number, found without reading large files again."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cache import identity
from cache.identity import Identities, fact_of, weights_here
from core.models.pairs import PairSpec, registry

TINY = registry()["tiny"]


class Facts(dict):
    """What a store remembers, in memory."""

    fact = dict.get
    remember = dict.__setitem__


@pytest.fixture
def spec(tmp_path) -> PairSpec:
    for name in ("base", "instruct"):
        shutil.copytree(getattr(TINY, name), tmp_path / name)
    return replace(TINY, id="mine", base=str(tmp_path / "base"), instruct=str(tmp_path / "instruct"))


@pytest.fixture
def hashed(monkeypatch):
    """The name of every file that is read to be hashed."""
    names, digest = [], hashlib.file_digest

    def counted(file, kind):
        names.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


def rewrite(path: Path, text: bytes) -> None:
    """A file of the same size, as an edit leaves it: changed later."""
    before = path.stat()
    path.write_bytes(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    rewrite(path, bytes(data))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("model", ["base", "instruct"])
def test_a_byte_of_weights_config_or_tokenizer_makes_it_another_pair(spec, model, name):
    identities = Identities(Facts())
    before = identities.known(spec)
    flip(Path(getattr(spec, model), name))
    assert before and identities.known(spec) not in (before, None)


def test_what_is_not_read_and_where_it_lies_do_not_matter(spec, tmp_path):
    before = Identities(Facts()).known(spec)
    Path(spec.base, "README.md").write_text("a card")
    assert Identities(Facts()).known(spec) == before == Identities(Facts()).known(TINY)


def test_base_and_instruct_are_not_exchanged_and_rounded_weights_are_others(spec):
    exchanged = replace(spec, base=spec.instruct, instruct=spec.base)
    rounded = replace(spec, quantization="8bit")
    assert len({Identities(Facts()).known(each) for each in (spec, exchanged, rounded)}) == 3


def test_a_file_is_hashed_once_for_its_path_size_and_time(spec, hashed):
    facts = Facts()
    Identities(facts).known(spec)
    assert hashed.count("model.safetensors") == 2
    del hashed[:]
    Identities(facts).known(spec)
    assert hashed == []
    flip(Path(spec.base, "config.json"))
    Identities(facts).known(spec)
    assert hashed == ["config.json"]


def test_large_files_are_hashed_by_the_worker_and_not_where_a_viewer_waits(spec, hashed, monkeypatch):
    monkeypatch.setattr(identity, "AT_ONCE", 10**6)
    identities = Identities(Facts())
    assert identities.known(spec) is None and hashed == []
    named = identities.of(spec, weights_here(spec))
    assert named and identities.known(spec) == named


def test_weights_that_are_gone_keep_the_name_they_had(spec, tmp_path):
    facts = Facts()
    before = Identities(facts).known(spec)
    shutil.rmtree(spec.instruct)
    assert weights_here(spec) is None
    assert Identities(facts).known(spec) == before
    assert Identities(Facts()).known(spec) is None


def test_what_is_remembered_of_a_pair_is_found_wherever_its_files_lie(spec):
    moved = replace(spec, base="/elsewhere/base", instruct="/elsewhere/instruct", title="another", note="another")
    assert fact_of(moved, "dtype") == fact_of(spec, "dtype") != fact_of(replace(spec, id="other"), "dtype")


def test_weights_that_changed_after_they_were_loaded_have_no_name(spec):
    loaded = weights_here(spec)
    flip(Path(spec.base, "model.safetensors"))
    assert Identities(Facts()).of(spec, loaded) is None


def test_a_file_that_was_hashed_before_it_changed_keeps_the_name_of_what_was_loaded(spec):
    identities, loaded = Identities(Facts()), weights_here(spec)
    before = identities.known(spec)
    flip(Path(spec.base, "model.safetensors"))
    assert identities.of(spec, loaded) == before != identities.known(spec)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's cache on this machine: make(name, commit, branch) puts a model there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def make(name: str, commit: str, branch: str = "main") -> None:
        folder = tmp_path / f"models--{name.replace('/', '--')}"
        (folder / "snapshots" / commit).mkdir(parents=True)
        (folder / "snapshots" / commit / "model.safetensors").touch()
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / branch).write_text(commit)

    return make


def test_a_hub_model_is_named_by_the_commit_that_is_here(hub, hashed):
    spec = PairSpec("hub", "hub", "owner/base", "owner/tuned", base_revision="b" * 40)
    hub("owner/base", "b" * 40, "other")
    assert Identities(Facts()).known(spec) is None
    hub("owner/tuned", "c" * 40)
    first = Identities(Facts()).known(spec)
    hub("owner/tuned", "d" * 40)
    assert first and Identities(Facts()).known(spec) not in (first, None) and hashed == []
    assert Identities(Facts()).of(spec, weights_here(spec, ("b" * 40, "c" * 40))) == first


def test_a_bundle_takes_no_paths_of_this_machine_along(spec, tmp_path):
    facts = Facts()
    before = Identities(facts).known(spec)
    assert any(str(tmp_path) in name for name in facts)
    carried = identity.portable(facts)
    assert list(carried.values()) == [before] and str(tmp_path) not in str(carried)
