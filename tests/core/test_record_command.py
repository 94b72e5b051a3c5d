"""`python -m core record`: a run's activations as a notebook reads them, or one line and no file."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file

from core.__main__ import main
from core.models.loading import load_pair
from core.models.pairs import registry
from core.recording import to_safetensors
from tests.random_models import CASE_NAMES, CASES

GIVEN = shlex.split('--sentence "The quick fox jumps over the dog." --original quick')
PER_LAYER = (
    *("hook_resid_pre", "hook_resid_mid", "hook_attn_out", "hook_mlp_out"),
    *(f"attn.hook_{name}" for name in ("q", "k", "v", "z", "pattern")),
)


def recorded(folder: Path, model: str) -> tuple[dict, dict]:
    """The tensors and the metadata of a file that the command wrote."""
    path = folder / f"{model}.safetensors"
    assert main(["record", *GIVEN, "--model", model, "--out", str(path)]) == 0
    with safe_open(path, "pt") as file:
        return load_file(path), {name: json.loads(part) for name, part in file.metadata().items()}


@pytest.mark.parametrize("model", ["base", "instruct"])
def test_names_and_values_are_those_of_a_plain_run_with_cache(tmp_path, model):
    tensors, metadata = recorded(tmp_path, model)
    manifest = metadata["manifest"]
    bridge = getattr(load_pair(registry()["tiny"], manifest["dtype"], "cpu"), model)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(torch.tensor([manifest["token_ids"]]))
    layers = range(bridge.cfg.n_layers)
    names = {f"blocks.{layer}.{name}" for layer in layers for name in PER_LAYER}
    assert tensors.keys() == names | {"ln_final.hook_in", "unembed.hook_out"}
    for name, tensor in tensors.items():
        expected = cache[name][:, -1:] if name == "unembed.hook_out" else cache[name]
        # Rounding alone: the recorded run multiplies by the library that is fastest here.
        torch.testing.assert_close(tensor, expected, atol=1e-4, rtol=1e-4)


def test_the_header_says_what_ran_and_whose_run_it_is(tmp_path):
    _, metadata = recorded(tmp_path, "base")
    assert metadata["experiment"]["original"] == "quick"
    manifest = metadata["manifest"]
    assert manifest["recorded"] == {"model": "base"} and manifest["pair"] == "tiny"
    assert len(manifest["base"]["weights_sha256"]) == 64 and set(manifest["seconds"]) == {"load", "record"}
    assert manifest["tokens"][manifest["roles"]["original"]["position"]] == " quick"


@pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
def test_every_familys_activations_are_kept_whole(pair_of, family, groups):
    # Families that compute q, k and v in one matrix record views of one memory, which the format refuses.
    recording = pair_of(family, groups).recordings[1]
    read = load(to_safetensors(recording, {"manifest": {}}))
    assert read.keys() == recording.activations.keys()
    assert all(torch.equal(read[name], activation) for name, activation in recording.activations.items())


REFUSED = {
    "no model": ("--out run.safetensors", "--model"),
    "unknown model": ("--model both --out run.safetensors", "'both'"),
    "no file": ("--model base", "--out"),
    "a folder for a file": ("--model base --out .", "is a folder; --out takes a file"),
    "no such folder": ("--model base --out absent/run.safetensors", "no folder 'absent'"),
    "another word": ("--model base --out run.safetensors --original slow", "does not stand in the sentence"),
    "no such token": ("--model base --out run.safetensors --token 999", "position 999"),
    "a flag of the other command": ("--model base --out run.safetensors --sweeps z", "--sweeps"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_status_2_one_line_and_no_file(case, capsys, tmp_path, monkeypatch):
    arguments, message = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    assert main(["record", *GIVEN, *shlex.split(arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_be_written_leaves_the_file_of_an_earlier_one(capsys, tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"earlier")
    assert main(["record", *GIVEN, "--answer", "swift-footed", "--model", "base", "--out", str(path)]) == 2
    assert path.read_bytes() == b"earlier" and [*tmp_path.iterdir()] == [path]


def test_the_command_and_notebook_lines_of_the_documentation_run_as_they_stand(tmp_path, monkeypatch):
    documentation = (Path(__file__).parents[2] / "docs/command_line.md").read_text(encoding="utf-8")
    command = re.search(r"^python -m core (record .+)$", documentation, re.MULTILINE)
    notebook = re.search(r"```python\n(.+?)```", documentation, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command[1])) == 0
    found: dict = {}
    exec(notebook[1], found)
    assert found["z"].ndim == 4 and json.loads(found["manifest"])["recorded"] == {"model": "instruct"}
