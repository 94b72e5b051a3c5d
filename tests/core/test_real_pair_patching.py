"""The real pair's patches against plain `transformers` models with hooks, merged by `peft` itself."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import peft
import pytest
import torch
import transformers

from core.experiment import Experiment
from core.models.loading import LoadedPair, load_pair
from core.models.pairs import REAL, lacking, registry
from core.patching.sweeps import patch_sets
from core.runs import Runs, run

MISSING = lacking(registry()[REAL])
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the real pair is not here: {MISSING}")
DIRECTIONS = ("instruct_to_base", "base_to_instruct")
CELLS, TOLERANCE = 20, 1e-3  # of each site; logits in float32


@pytest.fixture(scope="module")
def pair() -> LoadedPair:
    return load_pair(registry()[REAL], "float32", "cpu")


@pytest.fixture(scope="module")
def runs(pair) -> Runs:
    return run(Experiment(pair=REAL, answer="swift"), pair)


@pytest.fixture(scope="module")
def plain(pair) -> dict[str, transformers.PreTrainedModel]:
    """BASE read from the dequantized folder, and the same with the adapter merged into it."""
    folder = pair.checkpoints[0].folder
    read = transformers.AutoModelForCausalLM.from_pretrained
    base, other = (read(folder, dtype=torch.float32, attn_implementation="eager").eval() for _ in range(2))
    merged = peft.PeftModel.from_pretrained(other, registry()[REAL].instruct).merge_and_unload()
    return {"base": base, "instruct": merged}


def difference(model, runs: Runs) -> float:
    logits = model(torch.tensor([runs.prompt.ids])).logits[0, -1]
    return float(logits[runs.prompt.answer_id] - logits[runs.prompt.original_id])


@contextmanager
def hooked(model, layer: int, site: str, change):
    """change(tensor) → tensor, or None to leave it, at z (what o_proj reads) or v (what v_proj writes)."""
    attention = model.model.layers[layer].self_attn
    if site == "z":
        handle = attention.o_proj.register_forward_pre_hook(lambda module, inputs: (change(inputs[0]),))
    else:
        handle = attention.v_proj.register_forward_hook(lambda module, inputs, output: change(output))
    try:
        yield
    finally:
        handle.remove()


def patched(recipient, donor, runs: Runs, site: str, layer: int, column: int) -> float:
    kept = []
    with hooked(donor, layer, site, lambda x: kept.append(x.clone()) or x):
        difference(donor, runs)
    width = recipient.config.head_dim
    part = slice(column * width, (column + 1) * width)

    def write(x):
        x = x.clone()
        x[..., part] = kept[0][..., part]
        return x

    with hooked(recipient, layer, site, write):
        return difference(recipient, runs)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("site", ["z", "v"])
@torch.no_grad()
def test_patches_are_those_of_hooked_transformers_models(runs, plain, site, direction):
    cfg = runs.recordings[0].bridge.cfg
    columns = cfg.n_heads if site == "z" else cfg.n_key_value_heads
    every = [(layer, column) for layer in range(cfg.n_layers) for column in range(columns)]
    chosen = [every[i] for i in np.random.default_rng(7).choice(len(every), CELLS, replace=False)]
    found = patch_sets(runs.recordings, runs.prompt, [[cell] for cell in chosen], site, direction)
    recipient, donor = (plain[name] for name in direction.split("_to_")[::-1])
    expected = [patched(recipient, donor, runs, site, *cell) for cell in chosen]
    assert np.abs(found.logit_diff - expected).max() <= TOLERANCE
    # Not by patching nothing: some of these heads matter.
    assert np.abs(np.array(expected) - difference(recipient, runs)).max() > 0.02
