"""Whether a pair can be had on this machine, said before anybody asks for it."""

import pytest

from core.models.pairs import registry
from core.models.standing import standing

PAIRS = registry()


@pytest.fixture(autouse=True)
def hubs_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_what_lies_in_the_repository_is_here_and_the_tiny_pair_is_a_toy():
    found = standing(PAIRS["tiny"])
    assert (found.kind, found.toy) == ("here", True)
    assert not standing(PAIRS["llama-3.1-8b"]).toy


def test_a_pair_of_the_hub_needs_a_download_until_both_models_have_come(hubs_cache):
    spec = PAIRS["llama-3.1-8b"]
    assert standing(spec).kind == "download" and "32.1 GB" in standing(spec).text
    for name, kind in ((spec.base, "download"), (spec.instruct, "here")):
        folder = hubs_cache / f"models--{name.replace('/', '--')}" / "snapshots" / "abc"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").touch()
        assert standing(spec).kind == kind
    assert standing(spec).text == "is here"


def test_what_is_larger_than_the_room_cannot_run_even_one_model_at_a_time():
    spec = PAIRS["llama-3.1-8b"]
    one = spec.bytes_needed(in_turns=True)
    assert standing(spec, room=one - 1).kind == "too large"
    # However little is lacking, the two numbers differ.
    assert standing(spec, room=one - 1).text == "cannot run here: needs 16.1 GB, 16.0 GB are there"
    assert standing(spec, room=one).kind == "download"
    assert standing(spec, room=one, dtype="float32").kind == "too large"


def test_a_file_that_is_not_there_is_missing(tmp_path):
    (tmp_path / "pairs.toml").write_text("[[pair]]\nid = 'x'\nbase = './nowhere'\ninstruct = './nowhere'\n")
    assert standing(registry(str(tmp_path / "pairs.toml"))["x"], room=1).kind == "missing"
