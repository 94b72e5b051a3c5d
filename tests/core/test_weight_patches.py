"""Weight patches against copies of the transformers model with those weights replaced, in every family."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from core.experiment import Experiment, InputError
from core.models.loading import load_pair
from core.models.pairs import registry
from core.patching import weights
from core.patching.growing_pass import shape_of
from core.patching.plan import (
    DIRECTIONS,
    GROUP_WEIGHTS,
    HEAD_WEIGHTS,
    LAYER_WEIGHTS,
    WEIGHT_SITES,
    Patch,
    Shape,
    cell,
    checked,
)
from core.patching.sweeps import patch_sets, run_plan, sweep
from core.readout import readout
from core.recording import record
from core.runs import run
from tests.random_models import CASE_NAMES, CASES, FAMILIES, boot
from tests.transplant import logit_diff, transplanted

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)
# Transformers compute norms and soft caps in float32 whatever the dtype.
EXACT = dict(rtol=0, atol=2e-5)


def ran(pair, rows, direction="instruct_to_base") -> np.ndarray:
    return run_plan(pair.recordings, pair.prompt, rows, direction, lambda gap, values, measures: values)


def expected(pair, family: str, patches, direction="instruct_to_base") -> float:
    recipient, donor = pair.models if direction == "instruct_to_base" else pair.models[::-1]
    model = transplanted(family, recipient, donor, patches)
    return logit_diff(model, pair.prompt.ids, pair.prompt.answer_id, pair.prompt.original_id)


def everything(shape: Shape) -> list[Patch]:
    layers = range(shape.layers)
    return [Patch(0, "w_embed"), *(Patch(layer, "w_layer") for layer in layers), Patch(shape.layers - 1, "w_final")]


@every_case
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_all_of_the_donors_weights_at_once_are_the_donors_own_run(pair_of, family, groups, direction):
    pair = pair_of(family, groups, torch.float64)
    shape = shape_of(pair.recordings[0])
    found = ran(pair, [tuple(everything(shape))], direction)
    donor = pair.recordings[1 if direction == "instruct_to_base" else 0]
    own = readout(donor.bridge).logit_diff(donor.final_residual[-1], pair.prompt.answer_id, pair.prompt.original_id)
    np.testing.assert_allclose(found, [float(own)], rtol=0, atol=1e-6)


@every_family
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_each_weight_equals_a_plain_forward_of_a_model_with_those_slices_replaced(pair_of, family, direction):
    """Where every head has keys and values of its own."""
    pair = pair_of(family, 4, torch.float64)
    shape = shape_of(pair.recordings[0])
    rows = [
        (cell(site, layer, column, (), shape),)
        for site in WEIGHT_SITES
        for layer in shape.layers_of(site)
        for column in range(shape.width(site))[1::2] or (0,)
    ]
    reference = [expected(pair, family, row, direction) for row in rows]
    assert np.ptp(reference) > 0.01
    np.testing.assert_allclose(ran(pair, rows, direction), reference, **EXACT)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "neox"])
def test_with_shared_keys_and_values_too(pair_of, family):
    pair = pair_of(family, 2, torch.float64)
    shape = shape_of(pair.recordings[0])
    sites = ("w_q", "w_o", *GROUP_WEIGHTS, *LAYER_WEIGHTS)
    rows = [(cell(site, layer, shape.width(site) - 1, (), shape),) for site in sites for layer in range(2)]
    np.testing.assert_allclose(ran(pair, rows), [expected(pair, family, row) for row in rows], **EXACT)


@every_family
def test_a_set_over_layers_recomputes_each_component_in_its_own_rows_stream(pair_of, family):
    pair = pair_of(family, 4, torch.float64)
    rows = [
        (Patch(0, "w_head", (1, 2)), Patch(1, "w_head", (0,))),
        (Patch(0, "w_mlp"), Patch(1, "w_ov", (3,)), Patch(1, "w_mlp")),
        (Patch(0, "w_embed"), Patch(1, "w_attn"), Patch(1, "w_final")),
        (Patch(0, "w_qk", (0,)), Patch(0, "w_ov", (0, 3)), Patch(0, "w_k", (1,)), Patch(1, "w_layer")),
    ]
    np.testing.assert_allclose(ran(pair, rows), [expected(pair, family, row) for row in rows], **EXACT)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("neox", "olmo2")])
@pytest.mark.parametrize("site", ["w_qk", "w_ov", "w_head"])
def test_one_head_of_a_group_takes_keys_and_values_that_the_others_do_not(pair_of, family, site):
    """Against z of a run in which the whole group takes them, written into the recipient by hand.

    A norm over all heads' queries (OLMo-2) would see the others' too.
    """
    pair = pair_of(family, 2, torch.float64)
    base, instruct = pair.recordings
    found = sweep(pair.recordings, pair.prompt, site)
    for layer, head in ((0, 3), (1, 0)):
        group = shape_of(base).group_of(head)
        block, other = (each.bridge.blocks[layer] for each in (base, instruct))
        normed, z, final = [], [], []

        def project(part, place):
            def write(x, hook):
                x[0, :, place] = other.attn._modules[part](normed[0]).unflatten(-1, (x.shape[2], -1))[0, :, place]
                return x

            return f"blocks.{layer}.attn.hook_{part}", write

        hooks = [(f"blocks.{layer}.attn.hook_in", lambda x, hook: normed.append(x))]
        parts = {"w_qk": "qk", "w_ov": "v", "w_head": "qkv"}[site]
        hooks += [project(part, head if part == "q" else group) for part in parts]
        hooks += [(f"blocks.{layer}.attn.hook_z", lambda x, hook: z.append(x.clone()))]
        ids = torch.tensor([base.ids])
        with torch.no_grad():
            base.bridge.run_with_hooks(ids, return_type=None, fwd_hooks=hooks)
        moved = z[0][0, :, head]

        def put(x, hook):
            x[0, :, head] = moved
            return x

        def write_out(x, hook):
            return x + moved @ (other.attn.W_O[head] - block.attn.W_O[head])

        hooks = [(f"blocks.{layer}.attn.hook_z", put), ("ln_final.hook_in", lambda x, hook: final.append(x))]
        if site != "w_qk":
            hooks.append((f"blocks.{layer}.attn.hook_out", write_out))
        with torch.no_grad():
            base.bridge.run_with_hooks(ids, return_type=None, fwd_hooks=hooks)
        candidates = (pair.prompt.answer_id, pair.prompt.original_id)
        want = float(readout(base.bridge).logit_diff(final[0][0, -1], *candidates))
        assert found.logit_diff[layer, head] == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("site", ["w_head", "w_qk"])
@every_family
def test_all_heads_of_a_group_at_once_are_the_group(pair_of, family, site):
    """No shadow is needed, and with one each sharing head of another group keeps its own."""
    groups = 4 if family == "neox" else 2
    pair = pair_of(family, groups, torch.float64)
    shape = shape_of(pair.recordings[0])
    heads = tuple(shape.heads_of(groups - 1))
    apart = {"w_head": "qkvo", "w_qk": "qk"}[site]
    whole = tuple(
        Patch(1, f"w_{part}", (groups - 1,) if part in "kv" else heads) for part in apart
    )  # fmt: skip
    found = ran(pair, [(Patch(1, site, heads),), whole])
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-9)


@every_case
def test_every_head_with_the_norms_and_the_output_bias_is_the_whole_attention(
    pair_of, family, groups, tmp_path, tokenizer_of
):
    """Of a donor whose norms and output bias are the recipient's."""
    pair = pair_of(family, groups, torch.float64)
    donor = copy.deepcopy(pair.models[1])
    with torch.no_grad():
        for (name, mine), theirs in zip(donor.named_parameters(), pair.models[0].parameters()):
            if "norm" in name or name.endswith(("dense.bias", "o_proj.bias")):
                mine.copy_(theirs)
    donor.save_pretrained(tmp_path)
    bridge = boot(tmp_path, tokenizer_of("byte_level"), torch.float64)
    recordings = (pair.recordings[0], record(bridge, pair.prompt.ids))
    heads = [[(layer, head) for head in range(4)] for layer in range(2)]
    found = patch_sets(recordings, pair.prompt, heads, "w_head")
    whole = sweep(recordings, pair.prompt, "w_attn")
    assert np.abs(whole.effect).max() > 1e-3
    np.testing.assert_allclose(found.logit_diff, whole.logit_diff[:, 0], rtol=0, atol=1e-9)


@every_case
def test_equal_weights_have_an_effect_of_exactly_zero(pair_of, family, groups):
    base, _ = pair_of(family, groups).recordings
    for site in WEIGHT_SITES:
        found = sweep((base, base), pair_of(family, groups).prompt, site)
        assert (found.effect == 0).all() and found.complete
        assert found.measures.kl_recipient.max() < 1e-5
        assert np.isfinite(found.noise_floor).all() and found.gap.no_op < 1e-5


@every_family
def test_the_recipients_own_weights_computed_again_change_nothing(pair_of, family, monkeypatch):
    """The no-op of every weight sweep runs the whole machinery, and so do rows whose weights are not found equal."""
    groups = 4 if family == "neox" else 2
    base, _ = pair_of(family, groups).recordings
    monkeypatch.setattr(weights, "_equal", lambda own, taken: False)
    for site in WEIGHT_SITES:
        found = sweep((base, base), pair_of(family, groups).prompt, site)
        assert np.abs(found.effect).max() < 1e-5, site
        assert found.gap.no_op < 1e-5


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_in_the_embedded_pair_only_queries_keys_and_values_were_changed(direction):
    pair = load_pair(registry()["tiny"], device="cpu")
    runs = run(Experiment(answer="swift"), pair)
    effects = {site: sweep(runs.recordings, runs.prompt, site, direction).effect for site in WEIGHT_SITES}
    for site in ("w_mlp", "w_o", "w_embed", "w_final"):
        assert (effects[site] == 0).all()
    for site in ("w_q", "w_head", "w_attn"):
        assert np.abs(effects[site]).max() > 0.1
    carried = sweep(runs.recordings, runs.prompt, "mlp_out", direction)
    assert carried.score.max() > 0.3
    np.testing.assert_array_equal(effects["w_layer"].shape, (4, 1))


def test_weights_that_lie_elsewhere_are_brought_to_the_row(pair_of, monkeypatch):
    pair = pair_of("phi3", 2)
    rows = [(Patch(0, "w_layer"), Patch(1, "w_head", (1,)))]
    beside = ran(pair, rows)
    called = []

    plain = torch.func.functional_call
    monkeypatch.setattr(torch.func, "functional_call", lambda *given: called.append(1) or plain(*given))
    monkeypatch.setattr(weights, "_is_here", lambda weight, x: False)
    np.testing.assert_array_equal(ran(pair, rows), beside)
    assert called


@pytest.mark.parametrize(
    "row, field",
    [
        ((Patch(0, "w_head", (1,), (3,)),), "positions"),
        ((Patch(0, "w_attn", (1,)),), "heads"),
        ((Patch(0, "w_head"),), "heads"),
        ((Patch(0, "w_k", (2,)),), "heads"),
        ((Patch(1, "w_embed"),), "heads"),
        ((Patch(0, "w_final"),), "heads"),
        ((Patch(0, "w_q", (0,), (), "carried"),), "site"),
        ((Patch(0, "w_q", (0,)), Patch(0, "z", (1,))), "heads"),
    ],
)
def test_a_weight_patch_that_cannot_be_done_is_refused_at_its_input(row, field):
    with pytest.raises(InputError) as error:
        checked([row], Shape(layers=2, heads=4, groups=2, positions=5))
    assert error.value.field == field


def test_a_models_own_weights_have_one_cell_and_no_layer(pair_of):
    pair = pair_of()
    for site, name in (("w_embed", "embedding"), ("w_final", "unembedding")):
        found = sweep(pair.recordings, pair.prompt, site)
        frame = found.to_frame()
        assert found.logit_diff.shape == (1, 1) and found.name(0, 0) == name
        assert len(frame) == 1 and frame[["layer", "head"]].isna().to_numpy().all()
        assert np.isfinite(frame.noise_floor).all()
    assert set(HEAD_WEIGHTS) < set(WEIGHT_SITES)
