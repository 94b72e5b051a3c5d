"""Direct logit attribution: against TransformerLens' own, its projections and scale, and its tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformer_lens.tools.analysis import direct_logit_attribution

from core.attribution import attribute
from core.logit_difference import summarize
from core.results import MODELS

PROJECTIONS = ("own", "base", "instruct")


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral", "neox"])
def test_heads_and_layers_equal_transformer_lens_own(pair_of, booted, family):
    groups = 4 if family == "neox" else 2
    pair = pair_of(family, groups)
    found = attribute(pair.recordings, pair.prompt)
    answer, original = pair.prompt.answer_id, pair.prompt.original_id
    for m, name in enumerate(MODELS):
        bridge = booted(family, name, groups)
        bridge.enable_compatibility_mode()
        values = {}
        for unit in ("head", "component"):
            theirs = direct_logit_attribution(
                bridge, torch.tensor([pair.prompt.ids]), answer_tokens=answer, incorrect_tokens=original, unit=unit
            )
            values |= dict(zip(theirs.labels, theirs.attribution[:, 0].tolist()))
        for layer in range(found.mlp.shape[1]):
            np.testing.assert_allclose(found.attn[m, layer], values[f"{layer}_attn_out"], atol=1e-5)
            np.testing.assert_allclose(found.mlp[m, layer], values[f"{layer}_mlp_out"], atol=1e-5)
            # Compatibility mode moves a value bias, which only GPT-NeoX has here, out of the heads.
            for head in range(found.head.shape[2] if family != "neox" else 0):
                np.testing.assert_allclose(found.head[m, layer, head], values[f"L{layer}H{head}"], atol=1e-5)
        np.testing.assert_allclose(found.embed[m], values["embed"], atol=1e-5)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_two_recordings_of_one_model_show_no_change(pair_of, projection):
    pair = pair_of()
    found = attribute((pair.recordings[1], pair.recordings[1]), pair.prompt, projection)
    for name in ("embed", "attn", "mlp", "head", "attn_bias", "bias", "scale", "total"):
        values = getattr(found, name)
        assert np.array_equal(values[0], values[1]), name
    assert np.abs(found.head).max() > 0.01
    assert (found.top_heads()["change"] == 0).all()


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_scale_is_one_over_the_residuals_rms(pair_of, family):
    pair = pair_of(family)
    for projection in PROJECTIONS:
        found = attribute(pair.recordings, pair.prompt, projection)
        for m, recording in enumerate(pair.recordings):
            x = recording.final_residual[-1].double().numpy()
            np.testing.assert_allclose(found.scale[m], 1 / np.sqrt((x**2).mean() + 1e-6), rtol=1e-5)


def test_a_layer_norms_scale_is_one_over_the_residuals_deviation(pair_of):
    pair = pair_of("neox", 4)
    found = attribute(pair.recordings, pair.prompt)
    for m, recording in enumerate(pair.recordings):
        x = recording.final_residual[-1].double().numpy()
        np.testing.assert_allclose(found.scale[m], 1 / x.std(), rtol=1e-4)


@pytest.mark.parametrize("reader", [0, 1], ids=MODELS)
def test_a_projection_is_read_from_the_model_it_names(pair_of, reader):
    pair = pair_of()
    found = attribute(pair.recordings, pair.prompt, MODELS[reader])
    weights = pair.models[reader].state_dict()
    columns = weights["lm_head.weight"]
    d = weights["model.norm.weight"] * (columns[pair.prompt.answer_id] - columns[pair.prompt.original_id])
    for m, recording in enumerate(pair.recordings):
        for layer in range(2):
            mlp = recording.layer(layer, "hook_mlp_out")[-1].double()
            np.testing.assert_allclose(found.mlp[m, layer], found.scale[m] * float(mlp @ d), atol=1e-5)
    assert found.projection == MODELS[reader]


@pytest.mark.parametrize("family, groups", [("llama", 2), ("neox", 4), ("gemma3", 2)])
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_components_sum_to_the_total_along_any_projection(pair_of, family, groups, projection):
    pair = pair_of(family, groups)
    found = attribute(pair.recordings, pair.prompt, projection)
    layers = found.embed + found.attn.sum(1) + found.mlp.sum(1) + found.bias
    np.testing.assert_allclose(layers, found.total, atol=1e-4)
    logit_diff = summarize(pair.recordings, pair.prompt).logit_diff
    for m, name in enumerate(MODELS):
        assert (abs(found.total[m] - logit_diff[m]) < 1e-4) == (projection in ("own", name))


def test_a_wrong_activation_fails_the_checks(pair_of):
    pair = pair_of()
    base, instruct = pair.recordings
    for name, failing in (("attn.hook_z", 2), ("hook_mlp_out", 1)):
        wrong = base.activations | {f"blocks.1.{name}": 1.5 * base.activations[f"blocks.1.{name}"]}
        found = attribute((replace(base, activations=wrong), instruct), pair.prompt)
        assert [check.holds for check in found.checks].count(False) == failing
        assert all(check.holds for check in found.checks if check.name.startswith("instruct"))


@pytest.mark.parametrize("family, groups", [("llama", 2), ("neox", 4)])
def test_the_table_holds_every_component_once_and_sums_to_the_total(pair_of, family, groups):
    pair = pair_of(family, groups)
    found = attribute(pair.recordings, pair.prompt)
    table = found.to_frame()
    assert list(table.columns) == ["model", "component", "layer", "head", "value"]
    assert not table.duplicated(["model", "component", "layer", "head"]).any()
    assert set(table["component"]) == {"embed", "attn", "mlp", "head", "bias"}
    for m, name in enumerate(MODELS):
        rows = table[table["model"] == name]
        parts = rows[rows["component"] != "attn"]
        np.testing.assert_allclose(parts["value"].sum(), found.total[m], atol=1e-4)
        head = rows[(rows["component"] == "head") & (rows["layer"] == 1) & (rows["head"] == 2)]
        assert head["value"].tolist() == [found.head[m, 1, 2]]
        assert (rows["component"] == "bias").sum() == (3 if family == "neox" else 1)


def test_top_heads_come_by_the_size_of_their_change(pair_of):
    pair = pair_of()
    found = attribute(pair.recordings, pair.prompt)
    table = found.top_heads()
    change = np.abs(table["change"].to_numpy())
    assert len(table) == 8 and (np.diff(change) <= 0).all() and change[0] > 0
    assert len(found.top_heads(3)) == 3
    for row in table.itertuples():
        assert row.name == f"L{row.layer}H{row.head}"
        assert (row.base, row.instruct) == tuple(found.head[:, row.layer, row.head])
        assert row.change == row.instruct - row.base


def test_a_check_along_the_other_models_projection_does_not_speak_of_the_logit_difference(pair_of):
    pair = pair_of()
    base, instruct = (
        [check.name for check in attribute(pair.recordings, pair.prompt, "instruct").checks if check.name.startswith(m)]
        for m in ("base", "instruct")
    )
    assert "logit_diff" not in base[0] and "INSTRUCT's projection" in base[0]
    assert "logit_diff" in instruct[0]
