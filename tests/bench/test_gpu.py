"""The bench of a GPU, at two layers and on the CPU: that it measures what it says, in a form that can be read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from core.models.pairs import read_pairs
from core.patching.growing_pass import shape_of
from core.patching.sweeps import sweep
from core.recording import record
from tests.bench import gpu, gpu_app
from tests.random_tokenizers import byte_level

SMALL = gpu.Size(2, 4, 2, 32, 8, 48, 1000, 9, chunks=(18, 64), sampled=(1,), repeats=1)


@pytest.fixture(scope="module")
def found() -> dict:
    return gpu.measure(SMALL, "cpu", torch.bfloat16)


def test_every_number_is_there_and_survives_json(found):
    read = json.loads(json.dumps(found, allow_nan=False))
    assert (read["dtype"], read["device"], read["size"]["tokens"]) == ("bfloat16", "cpu", SMALL.tokens)
    times = [read["record_both_seconds"], read["two_plain_forwards_seconds"]]
    times += [read[site][f"{name}seconds"] for site in "zv" for name in ("", "transformer_lens_", "plain_forwards_")]
    times += [chunk["seconds"] for chunk in read["chunks"]]
    assert min(times) > 0 and [chunk["tokens"] for chunk in read["chunks"]] == [18, 64]
    # Rows of one layer pass two layers or one.
    assert (read["z"]["row_layers"], read["v"]["row_layers"]) == (12, 6)


def test_a_patch_of_the_random_pair_moves_it_by_more_than_rounding(found):
    for site in "zv":
        assert found[site]["largest_effect"] > found[site]["noise_floor"] >= 0


def test_the_models_are_of_the_size_they_name_and_equal_for_equal_seeds():
    base, instruct = gpu.random_models(SMALL, "cpu", torch.bfloat16)
    norms = sum(weight.numel() for weight in base.parameters() if weight.ndim == 1)
    assert sum(weight.numel() for weight in base.parameters()) == SMALL.parameters + norms
    assert {weight.dtype for model in (base, instruct) for weight in model.parameters()} == {torch.bfloat16}
    again = gpu.random_models(SMALL, "cpu", torch.bfloat16)[1]
    assert all(torch.equal(a, b) for a, b in zip(instruct.parameters(), again.parameters()))
    assert not any(torch.equal(a, b) for a, b in zip(base.parameters(), instruct.parameters()))
    assert torch.get_default_dtype() == torch.float32
    assert round(gpu.Size().parameters / 1e9, 1) == 8.0


def test_the_sampled_loop_of_transformer_lens_is_the_sweeps_cells():
    models = gpu.random_models(SMALL, "cpu", torch.float32)
    prompt = gpu.prompt_of(SMALL)
    runs = tuple(record(gpu.bridge(model, "cpu"), prompt.ids) for model in models)
    for site in "zv":
        loop = gpu.transformer_lens(runs, prompt, site, (1,))()
        assert loop.shape == (shape_of(runs[0]).width(site),)
        np.testing.assert_allclose(loop, sweep(runs, prompt, site).logit_diff[1], rtol=0, atol=1e-4)


def test_the_table_names_the_card_and_every_ratio(found):
    rows = gpu.table(found | {"app": {"skipped": "no disk"}}).splitlines()
    assert rows[0] == "| random pair of 0.0B, bfloat16, cpu | measured |"
    assert all(row.startswith("| ") and row.count("|") == 3 for row in rows[2:])
    for name in ("z: TransformerLens' own function / sweep", "v: sweep / plain forwards", "app: skipped"):
        assert any(row.startswith(f"| {name} |") for row in rows)


def test_the_pair_for_the_app_can_be_read_back(tmp_path):
    pairs = gpu_app.save(gpu.random_models(SMALL, "cpu", torch.bfloat16), tmp_path)
    spec = read_pairs(pairs)["random"]
    assert Path(spec.base, "model.safetensors").is_file() and spec.dtype == "bfloat16"
    own, larger = byte_level(), gpu_app.tokenizer(SMALL.vocab)
    text = f"The quick fox {gpu_app.SENTENCES[3]}"
    assert len(larger) == SMALL.vocab and larger(text)["input_ids"] == own(text)["input_ids"]
    assert larger.convert_ids_to_tokens(SMALL.vocab - 1) == f"<{SMALL.vocab - 1}>"


def test_without_a_gpu_it_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as refused:
        gpu.main()
    assert refused.value.code == gpu.REFUSAL and "\n" not in gpu.REFUSAL
    assert capsys.readouterr().out == ""
