"""Attention from END: against transformers' own attentions, against the heads' attribution, and its tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.attention import attend, patterns
from core.attention_results import Attention, LayerChange, Patterns, table_roles
from core.attribution import attribute
from core.head.report import examine
from tests.random_models import CASE_NAMES, CASES, POST_NORM
from tests.random_pair import random_pair


@pytest.fixture(scope="module", params=CASES, ids=CASE_NAMES)
def pair(request, tmp_path_factory):
    return random_pair(*request.param, tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def attention(pair):
    return attend(pair.recordings, pair.prompt)


def reference_attentions(pair):
    """(model, layer, head, query, source) from transformers, eager, float64."""
    ids = torch.tensor([pair.prompt.ids])
    with torch.no_grad():
        outputs = [model(ids, output_attentions=True).attentions for model in pair.models]
    return np.stack([np.stack([layer[0].numpy() for layer in layers]) for layers in outputs])


def test_weights_and_patterns_are_those_of_transformers(pair, attention):
    reference = reference_attentions(pair)
    np.testing.assert_allclose(attention.weight, reference[:, :, :, -1], atol=1e-5)
    chosen = [(1, 3), (0, 2)]
    found = patterns(pair.recordings, chosen, pair.prompt)
    assert found.pattern.dtype == np.float32
    for n, (layer, head) in enumerate(chosen):
        np.testing.assert_allclose(found.pattern[:, n], reference[:, layer, head], atol=1e-5)


def test_rows_sum_to_one_and_say_so(pair, attention):
    np.testing.assert_allclose(attention.weight.sum(-1), 1, atol=1e-5)
    rows = [check for check in attention.checks if "rows" in check.name]
    assert len(rows) == 2 and all(check.holds and check.residual <= 1e-5 for check in rows)


def test_what_the_source_tokens_write_sums_to_the_heads_attribution(pair, attention):
    attribution = attribute(pair.recordings, pair.prompt)
    assert np.abs(attribution.head).max() > 0.1
    np.testing.assert_allclose(attention.dla, attribution.head, atol=1e-5)
    sums = [check for check in attention.checks if "DLA" in check.name]
    assert len(sums) == 2 and all(check.holds and check.residual <= 1e-5 for check in sums)


@pytest.mark.parametrize("projection", ["base", "instruct"])
def test_the_projection_may_be_either_models(pair, projection):
    attention = attend(pair.recordings, pair.prompt, projection)
    attribution = attribute(pair.recordings, pair.prompt, projection)
    np.testing.assert_allclose(attention.dla, attribution.head, atol=1e-5)


def test_value_weighted_attention_is_the_length_of_what_end_receives(pair, attention):
    """By hand from the hooks and weights: a source at a time, the KV group of head h being h // (heads per group)."""
    recording, layer, head, source = pair.recordings[1], 1, 3, 2
    block = recording.bridge.blocks[layer]
    v = recording.layer(layer, "attn.hook_v")
    group = head // (recording.bridge.cfg.n_heads // v.shape[1])
    with torch.no_grad():
        weight = recording.layer(layer, "attn.hook_pattern")[head, -1, source]
        received = weight * v[source, group] @ block.attn.W_O[head]
        if pair.models[0].config.model_type.removesuffix("_text") in POST_NORM:
            norm = pair.models[1].model.layers[layer].post_attention_layernorm
            offset = 0 if pair.models[0].config.model_type == "olmo2" else 1
            z = recording.layer(layer, "attn.hook_z")[-1]
            raw = torch.einsum("hd,hdm->m", z, block.attn.W_O).double()
            epsilon = getattr(norm, "eps", None) or norm.variance_epsilon
            received = received * (offset + norm.weight) / (raw.pow(2).mean() + epsilon).sqrt()
    assert attention.value_weighted[1, layer, head, source] == pytest.approx(float(received.norm()), rel=1e-4)


def test_a_wrong_pattern_fails_the_checks(pair):
    recording = pair.recordings[0]
    name = "blocks.0.attn.hook_pattern"
    broken = replace(recording, activations=recording.activations | {name: recording.activations[name] * 1.01})
    checks = attend((broken, pair.recordings[1]), pair.prompt).checks
    assert [check.holds for check in checks] == [False, False, True, True]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_the_checks_hold_to_each_dtypes_rounding(family, dtype, tmp_path):
    pair = random_pair(family, 2, tmp_path, dtype)
    attention = attend(pair.recordings, pair.prompt)
    assert attention.written.dtype == np.float32 and all(check.holds for check in attention.checks)
    assert all(check.holds for check in examine(pair.recordings, pair.prompt, 1, 3, 6).checks)


def test_the_table_has_a_row_for_every_model_role_and_head(pair, attention):
    frame = attention.to_frame()
    assert list(frame.columns) == ["model", "role", "layer", "head", "value"]
    roles = ["original", "colon", "colon_2", "first", "bos", "end", "picked"]
    assert list(frame["role"].unique()) == roles
    assert len(frame) == 2 * len(roles) * 2 * 4
    row = frame.query("model == 'instruct' and role == 'colon_2' and layer == 1 and head == 2")
    assert row["value"].item() == attention.weight[1, 1, 2, pair.prompt.colons[1]]
    np.testing.assert_array_equal(attention.first, attention.weight[..., 0])


# What follows needs no model.


def synthetic(base: np.ndarray, instruct: np.ndarray, **roles: int) -> Attention:
    """base, instruct: (layer, head, pos)."""
    weight = np.stack([base, instruct]).astype(np.float32)
    tokens = tuple(f" t{n}" for n in range(weight.shape[-1]))
    return Attention(weight, 2 * weight, -weight, tokens, roles, "own", ())


def random_weights(seed: int, layers: int = 8, heads: int = 4, positions: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(positions), (layers, heads))


def test_a_model_beside_itself_shows_no_difference():
    same = random_weights(0)
    attention = synthetic(same, same, original=3)
    assert not attention.change("original").any()
    layers = attention.layers("original")
    assert layers.band() is None and layers.top() == []
    assert layers.line() == "A(t3→END) is the same in both models"


def test_the_layers_that_differ_are_named():
    base = random_weights(0)
    instruct = base.copy()
    instruct[2:5, :, 3] += np.array([0.1, 0.4, 0.2])[:, None]
    instruct[3, 0, 3] = base[3, 0, 3] - 0.4
    layers = synthetic(base, instruct, original=3).layers("original")
    np.testing.assert_allclose(layers.mean_abs, [0, 0, 0.1, 0.4, 0.2, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(layers.mean[[2, 3]], [0.1, 0.2], atol=1e-6)
    assert layers.top() == [3, 4, 2]
    assert layers.band() == (3, 3) and layers.band(0.8) == (3, 4) and layers.band(1.0) == (2, 4)
    assert "layer 3 (0.400), layer 4 (0.200), layer 2 (0.100)" in layers.line()


def test_the_band_is_the_shortest_run_that_holds_the_share():
    change = np.array([0.3, 0, 0, 0.25, 0.25, 0, 0.2])
    assert LayerChange(change, change, "A").band() == (3, 4)


def test_heads_are_named_by_the_size_of_their_change():
    base = random_weights(1)
    instruct = base.copy()
    instruct[5, 2, 1] -= 0.5
    instruct[0, 3, 1] += 0.25
    attention = synthetic(base, instruct)
    assert attention.top_heads(1, 2) == [(5, 2), (0, 3)]
    frame = attention.heads_frame(1, [(5, 2), (0, 3)])
    assert list(frame["name"]) == ["L5H2", "L0H3"]
    np.testing.assert_allclose(frame["change"], [-0.5, 0.25], atol=1e-6)
    np.testing.assert_allclose(frame["instruct"] - frame["base"], frame["change"], atol=1e-6)


def test_tables_hold_the_arrays_element_by_element():
    attention = synthetic(random_weights(2), random_weights(3))
    frame = attention.tokens_frame(6, 1)
    assert list(frame.columns) == ["model", "position", "token", "attention", "value_weighted", "written"]
    row = frame.query("model == 'instruct' and position == 4").iloc[0]
    assert row["token"] == " t4" and row["attention"] == attention.weight[1, 6, 1, 4]
    assert row["value_weighted"] == 2 * row["attention"] and row["written"] == -row["attention"]
    pattern = np.tril(np.random.default_rng(0).random((2, 2, 3, 3))).astype(np.float32)
    frame = Patterns(((7, 1), (2, 5)), pattern, ("a", "b", "c")).to_frame()
    assert list(frame.columns) == ["model", "layer", "head", "query", "source", "value"]
    assert len(frame) == 2 * 2 * 6
    row = frame.query("model == 'base' and layer == 2 and head == 5 and query == 2 and source == 1")
    assert row["value"].item() == pattern[0, 1, 2, 1]


def test_the_other_colon_keeps_its_number_whichever_is_chosen():
    roles = {"bos": None, "original": 5, "colon": 3, "end": 9, "picked": None}
    first = table_roles(roles | {"first": 0, "bos": 0}, (3, 7))
    assert first == {"original": 5, "colon": 3, "colon_2": 7, "first": 0, "bos": 0, "end": 9}
    assert table_roles(roles, (3, 7)) == {"original": 5, "colon": 3, "colon_2": 7, "end": 9}
    assert table_roles(roles | {"colon": 7}, (3, 7)) == {"original": 5, "colon": 7, "colon_1": 3, "end": 9}
    third = table_roles(roles | {"colon": 8}, (3, 7, 8))
    assert third == {"original": 5, "colon": 8, "colon_1": 3, "colon_2": 7, "end": 9}
    assert table_roles(roles | {"colon": None, "original": None}, ()) == {"end": 9}


def test_without_bos_position_0_is_the_sink_all_the_same():
    attention = synthetic(random_weights(0), random_weights(1), end=5)
    assert "bos" not in attention.roles
    np.testing.assert_array_equal(attention.first, attention.weight[..., 0])


def test_the_table_of_another_measure_names_it(attention):
    frame = attention.to_frame("written")
    row = frame.query("model == 'instruct' and role == 'original' and layer == 1 and head == 2").iloc[0]
    assert row["written"] == attention.written[1, 1, 2, attention.roles["original"]] and "value" not in frame
