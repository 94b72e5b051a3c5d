"""Neurons of one MLP: their sums, their patches against plain forwards, and what sets of them make up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.attribution import attribute
from core.experiment import InputError
from core.neurons import find_neurons, patch_neurons, with_neurons
from core.patching.plan import DIRECTIONS, NEURON, Patch
from core.patching.sweeps import run_plan, sweep
from core.readout import readout
from tests.random_models import CASE_NAMES, CASES, FAMILIES, POST_NORM

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)


def tolerance(family: str) -> float:
    return 1e-6 if family in POST_NORM else 1e-10


def groups_of(family: str) -> int:
    return 4 if family == "neox" else 2


def pair(pair_of, family: str):
    return pair_of(family, groups_of(family), torch.float64)


@every_case
def test_the_neurons_of_a_layer_and_its_bias_are_its_mlps_attribution(pair_of, family, groups):
    given = pair_of(family, groups, torch.float64)
    mlp = attribute(given.recordings, given.prompt).mlp
    for layer in range(2):
        found = find_neurons(given.recordings, given.prompt, layer)
        # Fewer neurons than are kept: all are named.
        assert found.of == 48 and sorted(found.neuron) == list(range(48))
        assert np.abs(found.direct).max() > 1e-3 and (family == "neox") == bool(found.bias.any())
        np.testing.assert_allclose(found.direct.sum(1) + found.bias, mlp[:, layer], rtol=0, atol=tolerance(family))
        np.testing.assert_allclose(found.total, mlp[:, layer], rtol=0, atol=tolerance(family))
        assert len(found.checks) == 2 and all(check.holds for check in found.checks)


def test_a_wrong_weight_fails_the_check(pair_of, monkeypatch):
    from core import neurons

    given = pair(pair_of, "llama")
    weights = neurons._weights
    monkeypatch.setattr(neurons, "_weights", lambda recording, layer: 1.01 * weights(recording, layer))
    assert not any(check.holds for check in find_neurons(given.recordings, given.prompt, 1).checks)


def test_the_neurons_come_by_their_change_each_with_the_tokens_of_its_row(pair_of):
    given = pair(pair_of, "llama")
    found = find_neurons(given.recordings, given.prompt, 1)
    assert (np.diff(np.abs(found.change)) <= 0).all() and abs(found.change[0]) > 0
    weights = given.models[1].state_dict()
    row = weights["model.layers.1.mlp.down_proj.weight"][:, int(found.neuron[0])]
    logits = weights["lm_head.weight"] @ (weights["model.norm.weight"] * row)
    tokenizer = given.recordings[1].bridge.tokenizer
    logits[tokenizer.all_special_ids] = torch.nan
    order = [i for i in logits.argsort(descending=True).tolist() if logits[i].isfinite()]
    assert found.promoted[0][0] == tokenizer.decode([order[0]])
    assert found.suppressed[0][0] == tokenizer.decode([order[-1]])
    assert len(found.promoted) == len(found.suppressed) == 20 and len(found.promoted[0]) == 6


def by_hand(recipient, donor, layer, neurons, prompt, position=None) -> float:
    """A plain forward of the model beneath the bridge, its MLP's last matrix fed with the donor's neurons."""
    matrix = recipient.bridge.blocks[layer].mlp.out.original_component
    taken = with_neurons(donor, layer).layer(layer, "mlp.out.hook_in")
    final = {}

    def feed(module, args):
        x = args[0].clone()
        where = slice(None) if position is None else position
        x[0, where, neurons] = taken[where, neurons]
        return (x,)

    def keep(module, args):
        final["x"] = args[0]

    norm = recipient.bridge.ln_final.original_component
    handles = [matrix.register_forward_pre_hook(feed), norm.register_forward_pre_hook(keep)]
    try:
        with torch.no_grad():
            recipient.bridge.original_model(torch.tensor([recipient.ids]))
    finally:
        for handle in handles:
            handle.remove()
    return float(readout(recipient.bridge).logit_diff(final["x"][0, -1], prompt.answer_id, prompt.original_id))


@every_family
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_single_neurons_and_sets_equal_plain_forwards(pair_of, family, direction):
    given = pair(pair_of, family)
    recipient, donor = given.recordings if direction == "instruct_to_base" else given.recordings[::-1]
    for layer in range(2):
        found = patch_neurons(given.recordings, given.prompt, layer, direction)
        order = [int(n) for n in find_neurons(given.recordings, given.prompt, layer).neuron]
        assert found.neuron.tolist() == order[:20] and found.sizes.tolist() == [1, 10, 48]
        sets = [[n] for n in order[:20]] + [order[:1], order[:10], order]
        for n in (0, 7, 20, 21, 22):
            expected = by_hand(recipient, donor, layer, sets[n], given.prompt)
            assert found.logit_diff[n] == pytest.approx(expected, abs=10 * tolerance(family))
        assert np.abs(found.effect[-1]) > 1e-4
        assert found.logit_diff[0] == pytest.approx(found.logit_diff[20], abs=1e-12)
        assert found.of_layer[-1] == 1 and np.isfinite(found.of_layer).all()


@pytest.mark.parametrize("family", ["llama", "neox", "gemma2"])
def test_neurons_at_one_position_equal_a_plain_forward(pair_of, family):
    given = pair(pair_of, family)
    end = len(given.prompt.ids) - 1
    recordings = tuple(with_neurons(recording, 1) for recording in given.recordings)
    for position in (end - 2, end):
        row = (Patch(1, NEURON, (3, 5), (position,)),)
        found = run_plan(recordings, given.prompt, [row], "instruct_to_base", lambda gap, values, measures: values)
        expected = by_hand(*given.recordings, 1, [3, 5], given.prompt, position)
        assert found[0] == pytest.approx(expected, abs=10 * tolerance(family))


@every_family
def test_all_neurons_are_the_mlp_where_both_models_write_them_out_alike(pair_of, booted, family):
    from dataclasses import replace

    given = pair(pair_of, family)
    base, instruct = given.recordings
    # The donor's neurons through the recipient's W_out, as the donor's own MLP would be if it had that W_out.
    layer, block = 1, base.bridge.blocks[1]
    with torch.no_grad():
        out = block.mlp.out.original_component(with_neurons(instruct, layer).layer(layer, "mlp.out.hook_in")[None])
        if hasattr(block, "ln2_post"):
            out = block.ln2_post.original_component(out)
    donor = replace(instruct, activations=instruct.activations | {f"blocks.{layer}.hook_mlp_out": out})
    expected = sweep((base, donor), given.prompt, "mlp_out").logit_diff[layer, 0]
    found = patch_neurons(given.recordings, given.prompt, layer).logit_diff[-1]
    assert found == pytest.approx(expected, abs=10 * tolerance(family))


def test_two_recordings_of_one_model_differ_in_no_neuron(pair_of):
    given = pair(pair_of, "llama")
    same = (given.recordings[1],) * 2
    assert not find_neurons(same, given.prompt, 0).change.any()
    found = patch_neurons(same, given.prompt, 0)
    assert np.abs(found.effect).max() < 1e-12 and np.isnan(found.of_layer).all()


def test_a_layer_that_is_not_there_is_named_and_so_is_a_neuron(pair_of):
    given = pair(pair_of, "llama")
    for ask in (find_neurons, patch_neurons):
        with pytest.raises(InputError, match="no layer 2; choose 0 to 1"):
            ask(given.recordings, given.prompt, 2)
    with pytest.raises(InputError, match="no neuron 48"):
        run_plan(given.recordings, given.prompt, [(Patch(0, NEURON, (48,)),)], "instruct_to_base", lambda *found: found)
    with pytest.raises(InputError, match="within one layer"):
        sweep(given.recordings, given.prompt, NEURON)


def test_the_tables_name_every_neuron_and_every_run(pair_of):
    given = pair(pair_of, "llama")
    found, patches = find_neurons(given.recordings, given.prompt, 1), patch_neurons(given.recordings, given.prompt, 1)
    table = found.to_frame()
    assert table["neuron"].tolist() == found.neuron.tolist() and set(table["layer"]) == {1}
    np.testing.assert_array_equal(table["instruct"] - table["base"], table["change"])
    table = patches.to_frame()
    assert table["size"].tolist() == [1] * 20 + [1, 10, 48] and table["neuron"].isna().sum() == 3
    assert table["of_layer"].iloc[-1] == 1
