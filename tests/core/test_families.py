"""What must hold in every family of models: parity with plain transformers, and the sums that attribution rests on.

Residuals are compared with 1e-4 in float32 and 1e-10 in float64. Where a norm stands between the heads and the stream
float64 reaches only 1e-6, since transformers computes norms in float32 whatever the dtype.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.attribution import attribute, head_outputs, through_post_norm
from core.logit_difference import summarize
from core.readout import capped, readout
from core.recording import record
from core.results import MODELS
from tests.random_models import CASE_NAMES, CASES, POST_NORM

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def tolerance(family: str, dtype: torch.dtype) -> float:
    if dtype == torch.float32:
        return 1e-4
    return 1e-6 if family in POST_NORM else 1e-10


def transformers_logits(model, ids) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


@every_case
def test_logits_of_a_recording_equal_those_of_plain_transformers(pair_of, family, groups):
    pair = pair_of(family, groups)
    for model, recording in zip(pair.models, pair.recordings):
        reader = readout(recording.bridge)
        logits = capped(reader.logits(recording.final_residual), recording.bridge)
        expected = transformers_logits(model, pair.prompt.ids)
        assert np.abs(expected[-1]).max() > 1
        np.testing.assert_allclose(logits.numpy(), expected, atol=1e-4)


@every_case
def test_the_model_itself_ends_at_the_logits_that_are_read(pair_of, family, groups):
    for recording in pair_of(family, groups).recordings:
        logits = readout(recording.bridge).logits(recording.final_residual[-1])
        own = recording.activations["unembed.hook_out"]
        assert own.shape == (1, 1, recording.bridge.cfg.d_vocab)
        torch.testing.assert_close(own[0, 0], logits, atol=1e-4, rtol=0)


@every_case
@both_dtypes
def test_embed_heads_biases_and_mlps_sum_to_the_logit_difference(pair_of, family, groups, dtype):
    pair = pair_of(family, groups, dtype)
    found = attribute(pair.recordings, pair.prompt)
    total = found.embed + found.head.sum((1, 2)) + found.attn_bias.sum(1) + found.mlp.sum(1) + found.bias
    expected = summarize(pair.recordings, pair.prompt).logit_diff
    assert np.abs(found.head).max() > 0.01 and np.abs(found.mlp).max() > 0.01
    np.testing.assert_allclose(total, expected, rtol=0, atol=tolerance(family, dtype))
    np.testing.assert_allclose(found.total, expected, rtol=0, atol=min(tolerance(family, dtype), 1e-5))


@every_case
@both_dtypes
def test_heads_of_a_layer_and_its_bias_are_its_attention_output(pair_of, family, groups, dtype):
    pair = pair_of(family, groups, dtype)
    for recording in pair.recordings:
        for layer in range(recording.bridge.cfg.n_layers):
            for position in (-1, 3):
                expected = recording.layer(layer, "hook_attn_out")[position]
                b_O = recording.bridge.blocks[layer].attn.b_O
                bias = 0 if b_O is None else through_post_norm(recording, layer, position, b_O)
                total = head_outputs(recording, layer, position).sum(0) + bias
                torch.testing.assert_close(total, expected, rtol=0, atol=tolerance(family, dtype))


@every_case
@both_dtypes
def test_all_checks_hold_on_true_recordings(pair_of, family, groups, dtype):
    pair = pair_of(family, groups, dtype)
    checks = attribute(pair.recordings, pair.prompt).checks
    assert len(checks) == 4 and len({check.name for check in checks}) == 4
    assert all(any(model in check.name for check in checks) for model in MODELS)
    assert [check for check in checks if not check.holds] == []


@pytest.mark.parametrize("family", POST_NORM)
def test_a_head_read_before_its_layers_norm_would_be_seen(pair_of, family):
    pair = pair_of(family)
    recording = pair.recordings[0]
    z = recording.layer(1, "attn.hook_z")[-1]
    naive = torch.einsum("hd,hdm->m", z, recording.bridge.blocks[1].attn.W_O)
    assert (naive - recording.layer(1, "hook_attn_out")[-1]).abs().max() > 0.1


@every_case
def test_a_candidates_numbers_are_those_of_plain_transformers(pair_of, family, groups):
    pair = pair_of(family, groups)
    summary = summarize(pair.recordings, pair.prompt)
    for m, model in enumerate(pair.models):
        logits = transformers_logits(model, pair.prompt.ids)[-1]
        prob = np.exp(logits) / np.exp(logits).sum()
        answer, original = pair.prompt.answer_id, pair.prompt.original_id
        np.testing.assert_allclose(summary.capped_diff[m], logits[answer] - logits[original], atol=1e-4)
        for name, i in (("answer", answer), ("original", original)):
            np.testing.assert_allclose(getattr(summary, f"prob_{name}")[m], prob[i], atol=1e-5)
            assert getattr(summary, f"rank_{name}")[m] == (logits > logits[i]).sum()


def test_gemma_2s_difference_is_told_before_and_after_its_soft_cap(pair_of):
    for family in ("gemma2", "llama"):
        pair = pair_of(family)
        summary = summarize(pair.recordings, pair.prompt)
        apart = np.abs(summary.logit_diff - summary.capped_diff).max()
        assert apart > 1e-2 if family == "gemma2" else apart == 0


@pytest.mark.parametrize("family", ["qwen2", "neox"])
def test_a_prompt_of_one_token_is_recorded(pair_of, family):
    bridge = pair_of(family, 4).bridges[0]
    recording = record(bridge, [7])
    np.testing.assert_allclose(
        readout(bridge).logits(recording.final_residual).numpy(),
        transformers_logits(pair_of(family, 4).models[0], [7]),
        atol=1e-4,
    )
