"""A recording holds what the model did, changes nothing in it, and nothing changes the recording."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformer_lens.model_bridge.generalized_components import NormalizationBridge

from core.recording import most_bytes, record, record_together
from tests.random_models import FAMILIES

IDS = [1, 30, 45, 60, 33]


def test_shapes_are_transformer_lens_with_a_batch_of_one(pair_of):
    recording = record(pair_of().bridges[0], IDS)
    shapes = {
        "hook_resid_pre": (5, 32),
        "hook_resid_mid": (5, 32),
        "hook_attn_out": (5, 32),
        "hook_mlp_out": (5, 32),
        "attn.hook_q": (5, 4, 12),
        "attn.hook_k": (5, 2, 12),
        "attn.hook_v": (5, 2, 12),
        "attn.hook_z": (5, 4, 12),
        "attn.hook_pattern": (4, 5, 5),
    }
    for layer in range(2):
        for name, shape in shapes.items():
            assert recording.activations[f"blocks.{layer}.{name}"].shape == (1, *shape), name
            assert recording.layer(layer, name).shape == shape
    assert recording.final_residual.shape == (5, 32)
    assert recording.activations["unembed.hook_out"].shape[:2] == (1, 1)
    assert recording.ids == tuple(IDS)


def test_recorded_numbers_are_those_of_transformers(pair_of):
    pair = pair_of()
    recording = record(pair.bridges[0], IDS)
    with torch.no_grad():
        expected = pair.models[0](torch.tensor([IDS]), output_hidden_states=True, output_attentions=True)
    for layer in range(2):
        for name, theirs in (("hook_resid_pre", expected.hidden_states), ("attn.hook_pattern", expected.attentions)):
            np.testing.assert_allclose(recording.layer(layer, name), theirs[layer][0], atol=1e-5)


def test_a_norm_is_computed_once_but_where_what_is_within_it_is_kept(pair_of, monkeypatch):
    own, twice = NormalizationBridge._hf_autograd_forward_with_hooks, []
    counted = lambda norm, x: twice.append(norm) or own(norm, x)  # noqa: E731
    for family, more, expected in (
        ("llama", (), 0),
        ("llama", ("blocks.1.ln2.hook_normalized",), 1),
        ("gemma2", (), 2),
    ):
        bridge = pair_of(family).bridges[0]
        before = record(bridge, IDS, more=[name for name in bridge.hook_dict if "hook_scale" in name])
        monkeypatch.setattr(NormalizationBridge, "_hf_autograd_forward_with_hooks", counted)
        found = record(bridge, IDS, more=more)
        monkeypatch.undo()
        assert len(twice) == expected
        twice.clear()
        for name, activation in found.activations.items():
            assert name in more or torch.equal(activation, before.activations[name]), name


def test_the_stream_is_the_sum_of_what_the_layers_add(pair_of):
    for family in ("llama", "gemma2"):
        recording = record(pair_of(family).bridges[0], IDS)
        x = recording.layer(0, "hook_resid_pre")
        for layer in range(2):
            x = x + recording.layer(layer, "hook_attn_out")
            torch.testing.assert_close(x, recording.layer(layer, "hook_resid_mid"), atol=1e-5, rtol=0)
            x = x + recording.layer(layer, "hook_mlp_out")
        torch.testing.assert_close(x, recording.final_residual, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_of_several_lengths_recorded_together_are_as_each_alone(family, pair_of):
    bridge = pair_of(family, 2, torch.float64).bridges[0]
    # The longest is longer than every window.
    every = [tuple(IDS), (*IDS, *IDS[::-1], *IDS), (2, 30, 46, 61)]
    for ids, found in zip(every, record_together(bridge, every)):
        alone = record(bridge, ids)
        assert found.ids == ids and found.activations.keys() == alone.activations.keys()
        # Norms, rotation and softmax are in float32 even here.
        for name, activation in alone.activations.items():
            torch.testing.assert_close(found.activations[name], activation, atol=5e-6, rtol=0, msg=name)
        for mine, ours in zip(alone.past, found.past, strict=True):
            torch.testing.assert_close(ours, mine, atol=5e-6, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_recording_keeps_is_known_before_within_a_half(family, pair_of):
    recording = record(pair_of(family, 2, torch.float32).bridges[0], IDS * 5)
    known = most_bytes(recording.bridge, len(recording.ids))
    assert known / 2 < recording.nbytes <= known


def test_recording_leaves_the_model_as_it_was(pair_of):
    bridge, ids = pair_of().bridges[0], torch.tensor([IDS])
    with torch.no_grad():
        before = bridge(ids)
        record(bridge, IDS)
        after = bridge(ids)
    assert torch.equal(before, after)
    assert all(not point.fwd_hooks for point in bridge.hook_dict.values())


def test_a_later_run_does_not_change_a_recording(pair_of):
    bridge = pair_of().bridges[0]
    recording = record(bridge, IDS)
    copies = {name: activation.clone() for name, activation in recording.activations.items()}
    record(bridge, [1, 9, 8, 7, 6])
    again = record(bridge, IDS)
    for name, copy in copies.items():
        assert torch.equal(recording.activations[name], copy)
        assert torch.equal(again.activations[name], copy)


@pytest.mark.parametrize("family", ["llama", "neox", "phi3", "gemma2", "olmo2"])
def test_nothing_but_what_is_read_is_kept_alive_and_all_of_it_is_counted(pair_of, family):
    recording = record(pair_of(family).bridges[0], IDS)
    kept = [*recording.activations.items(), *((f"past {n}", x) for n, both in enumerate(recording.past) for x in both)]
    for name, activation in kept:
        assert activation.untyped_storage().nbytes() == activation.nbytes, name
    assert recording.activations["unembed.hook_out"].shape[1] == 1
    buffers = {x.data_ptr(): x.nbytes for _, x in kept}
    assert recording.nbytes == sum(buffers.values()) + recording.next_token_logits.nbytes


def test_no_gradient_is_kept(pair_of):
    recording = record(pair_of().bridges[0], IDS)
    assert not any(activation.requires_grad for activation in recording.activations.values())
