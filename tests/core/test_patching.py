"""The growing pass against TransformerLens' one-run-per-patch functions, in every family of models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformer_lens import patching as reference

from core.experiment import Experiment
from core.models.loading import load_pair
from core.models.pairs import registry
from core.patching.sweeps import position_map, sweep
from core.readout import readout, soft_cap
from core.runs import run
from tests.random_llama import random_llama, recorded_pair
from tests.random_models import CASE_NAMES, CASES, FAMILIES

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)
REFERENCES = {
    "z": reference.get_act_patch_attn_head_out_all_pos,
    "v": reference.get_act_patch_attn_head_v_all_pos,
    "q": reference.get_act_patch_attn_head_q_all_pos,
    "k": reference.get_act_patch_attn_head_k_all_pos,
    "pattern": reference.get_act_patch_attn_head_pattern_all_pos,
}


def uncapped_difference(bridge, prompt):
    """The reference reads logits as the model gives them; where they are capped, the cap is taken back."""
    cap = soft_cap(bridge)

    def metric(logits):
        pair = logits[0, -1, [prompt.answer_id, prompt.original_id]].double()
        answer, original = pair if cap is None else cap * torch.atanh(pair / cap)
        return (answer - original).float()

    return metric


def reference_sweep(recipient, donor, prompt, site):
    metric = uncapped_difference(recipient.bridge, prompt)
    ids = torch.tensor([prompt.ids])
    with torch.no_grad():
        found = REFERENCES[site](recipient.bridge, ids, donor.activations, metric)
    return found.numpy()


@every_case
@pytest.mark.parametrize("site", REFERENCES)
def test_a_sweep_equals_transformer_lens_patching_with_the_donors_cache(pair_of, family, groups, site):
    pair = pair_of(family, groups)
    base, instruct = pair.recordings
    found = sweep(pair.recordings, pair.prompt, site)
    expected = reference_sweep(base, instruct, pair.prompt, site)
    assert found.logit_diff.shape == expected.shape
    assert np.ptp(expected) > 1e-3
    # A soft cap flattens large logits, so that taking it back multiplies the reference's rounding.
    np.testing.assert_allclose(found.logit_diff, expected, rtol=0, atol=5e-5 if family == "gemma2" else 1e-5)


@every_case
@pytest.mark.parametrize("site", ["z", "v"])
def test_the_mirrored_direction_runs_instruct_with_bases_activations(pair_of, family, groups, site):
    pair = pair_of(family, groups)
    base, instruct = pair.recordings
    found = sweep(pair.recordings, pair.prompt, site, "base_to_instruct")
    expected = reference_sweep(instruct, base, pair.prompt, site)
    np.testing.assert_allclose(found.logit_diff, expected, rtol=0, atol=5e-5 if family == "gemma2" else 1e-5)


@pytest.mark.parametrize("site", ["z", "v"])
def test_sixteen_layers_of_sixteen_heads_in_four_groups_equal_transformer_lens(sixteen_by_sixteen, site):
    recordings, prompt = sixteen_by_sixteen
    found = sweep(recordings, prompt, site)
    expected = reference_sweep(*recordings, prompt, site)
    assert found.logit_diff.shape == (16, 16 if site == "z" else 4)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found.logit_diff, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("direction", ["instruct_to_base", "base_to_instruct"])
@pytest.mark.parametrize("site", ["z", "v"])
def test_on_the_embedded_pair_a_sweep_equals_transformer_lens(site, direction):
    pair = load_pair(registry()["tiny"], device="cpu")
    runs = run(Experiment(answer="swift"), pair)
    found = sweep(runs.recordings, runs.prompt, site, direction)
    recipient, donor = runs.recordings if direction == "instruct_to_base" else runs.recordings[::-1]
    expected = reference_sweep(recipient, donor, runs.prompt, site)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found.logit_diff, expected, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def sixteen_by_sixteen(tmp_path_factory):
    return recorded_pair(random_llama(d_model=64, d_head=8, d_mlp=96), tmp_path_factory.mktemp("sixteen"), tokens=12)


LAYER_REFERENCES = {
    "attn_out": reference.get_act_patch_attn_out,
    "mlp_out": reference.get_act_patch_mlp_out,
    "resid_pre": reference.get_act_patch_resid_pre,
}


@every_family
@pytest.mark.parametrize("site", LAYER_REFERENCES)
def test_a_map_over_positions_equals_transformer_lens(pair_of, family, site):
    pair = pair_of(family, 4)
    base, instruct = pair.recordings
    found = position_map(pair.recordings, pair.prompt, site)
    metric = uncapped_difference(base.bridge, pair.prompt)
    with torch.no_grad():
        ids = torch.tensor([pair.prompt.ids])
        expected = LAYER_REFERENCES[site](base.bridge, ids, instruct.activations, metric).numpy()
    assert found.logit_diff.shape == expected.shape == (2, len(pair.prompt.ids))
    np.testing.assert_allclose(found.logit_diff, expected, rtol=0, atol=5e-5 if family == "gemma2" else 1e-5)


@every_family
def test_a_result_patch_equals_writing_the_donors_head_result_into_hook_result(booted, pair_of, family):
    pair = pair_of(family, 4)
    base, instruct = pair.recordings
    found = sweep(pair.recordings, pair.prompt, "result")
    bridge = booted(family, "base", 4)
    bridge.set_use_attn_result(True)
    reader, ids = readout(bridge), torch.tensor([pair.prompt.ids])
    for layer, head in ((0, 1), (1, 3)):
        taken = instruct.layer(layer, "attn.hook_z")[:, head] @ instruct.bridge.blocks[layer].attn.W_O[head]
        final = []

        def write(result, hook):
            result[0, :, head] = taken
            return result

        with torch.no_grad():
            hooks = [(f"blocks.{layer}.attn.hook_result", write), ("ln_final.hook_in", lambda x, hook: final.append(x))]
            bridge.run_with_hooks(ids, return_type=None, fwd_hooks=hooks)
        expected = float(reader.logit_diff(final[0][0, -1], pair.prompt.answer_id, pair.prompt.original_id))
        assert found.logit_diff[layer, head] == pytest.approx(expected, abs=1e-5)
    output = sweep(pair.recordings, pair.prompt, "z")
    assert np.abs(found.logit_diff - output.logit_diff).max() > 1e-4
