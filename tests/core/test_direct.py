"""What a patch does directly: against the recorded components summed again with one of them replaced."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.experiment import InputError
from core.patching.control_results import WRITTEN, Effects
from core.patching.direct import direct_effects
from core.patching.growing_pass import shape_of
from core.patching.plan import DIRECTIONS
from core.patching.sweeps import sweep
from core.recording import record
from tests.random_models import CASE_NAMES, CASES, FAMILIES, POST_NORM

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)
both = pytest.mark.parametrize("direction", DIRECTIONS)


def tolerance(family: str) -> float:
    """Transformers compute norms in float32 whatever the dtype, and here one stands behind the heads."""
    return 2e-6 if family in POST_NORM else 1e-10


def with_scale_of(norm, x, other):
    """The norm of `other`, with the scale that `x` has."""
    bias = getattr(norm, "bias", None)
    centred = bias is not None
    weight_and_scale = (norm(x) - (bias if centred else 0)) / (x - x.mean() if centred else x)
    return weight_and_scale * (other - other.mean() if centred else other) + (bias if centred else 0)


def written(block, z):
    return block.attn.o.original_component(z.flatten()[None])[0]


def by_hand(pair, direction, layer, head) -> tuple[float, float]:
    """Embedding and all outputs summed, one head's part replaced, through the model's own norm: frozen, recomputed."""
    recipient, donor = pair.recordings if direction == "instruct_to_base" else pair.recordings[::-1]
    bridge, layers = recipient.bridge, range(shape_of(recipient).layers)
    block, norm = bridge.blocks[layer], bridge.ln_final.original_component
    own, mixed = (recipient.layer(layer, "attn.hook_z")[-1].clone() for _ in range(2))
    mixed[head] = donor.layer(layer, "attn.hook_z")[-1, head]
    before, after = written(block, own), written(block, mixed)
    rest = recipient.layer(0, "hook_resid_pre")[-1] + sum(recipient.layer(n, "hook_mlp_out")[-1] for n in layers)
    rest = rest + sum(recipient.layer(n, "hook_attn_out")[-1] for n in layers if n != layer)
    outputs = [before, after, after]
    if hasattr(block, "ln1_post"):
        post = block.ln1_post.original_component
        outputs = [post(before), with_scale_of(post, before, after), post(after)]
    plain, frozen, recomputed = (rest + output for output in outputs)
    columns = bridge.W_U[:, [pair.prompt.answer_id, pair.prompt.original_id]]

    def logit_diff(y) -> float:
        return float(y @ (columns[:, 0] - columns[:, 1]))

    unpatched = logit_diff(norm(plain))
    return logit_diff(with_scale_of(norm, plain, frozen)) - unpatched, logit_diff(norm(recomputed)) - unpatched


@every_case
@both
@torch.no_grad()
def test_direct_is_one_heads_part_replaced_in_the_sum_of_everything_recorded(pair_of, family, groups, direction):
    pair = pair_of(family, groups, torch.float64)
    found = direct_effects(pair.recordings, pair.prompt, "z", direction)
    assert np.abs(found.frozen).min() > 1e-6 and np.abs(found.frozen - found.recomputed).max() > 1e-4
    for layer, head in ((0, 0), (0, 3), (1, 2)):
        frozen, recomputed = by_hand(pair, direction, layer, head)
        # The model's own norms compute in float32.
        assert found.frozen[layer, head] == pytest.approx(frozen, abs=2e-6)
        assert found.recomputed[layer, head] == pytest.approx(recomputed, abs=2e-6)


@every_family
@both
def test_behind_the_last_attention_nothing_is_left_but_the_scale(pair_of, booted, family, direction):
    """Without an MLP after it: the total is the recomputed direct effect, the indirect one what the scales make."""
    prompt = pair_of(family, 4, torch.float64).prompt
    recordings = []
    for name in ("base", "instruct"):
        bridge = booted(family, name, 4, torch.float64)
        with torch.no_grad():
            for weight in bridge.blocks[1].mlp.out.original_component.parameters():
                weight.zero_()
        recordings.append(record(bridge, prompt.ids))
    for site in ("z", "result", "attn_out"):
        found = Effects(direct_effects(recordings, prompt, site, direction), sweep(recordings, prompt, site, direction))
        np.testing.assert_allclose(found.total.effect[1], found.direct.recomputed[1], rtol=0, atol=tolerance(family))
        of_scales = found.direct.recomputed - found.direct.frozen
        np.testing.assert_allclose(found.indirect[1], of_scales[1], rtol=0, atol=tolerance(family))
        assert np.abs(found.total.effect[0] - found.direct.recomputed[0]).max() > 1e-3


@every_family
def test_the_last_layers_mlp_does_nothing_but_directly(pair_of, family):
    pair = pair_of(family, 4, torch.float64)
    found = direct_effects(pair.recordings, pair.prompt, "mlp_out")
    total = sweep(pair.recordings, pair.prompt, "mlp_out")
    np.testing.assert_allclose(found.recomputed[1], total.effect[1], rtol=0, atol=1e-10)
    assert np.abs(found.recomputed[0] - total.effect[0]).max() > 1e-4


def test_without_a_scale_that_depends_on_the_residual_frozen_is_recomputed(pair_of, booted):
    prompt, recordings = pair_of().prompt, []
    for name in ("base", "instruct"):
        bridge = booted("llama", name, 2, torch.float64)
        norm = bridge.ln_final.original_component
        norm.variance_epsilon = 1e12
        with torch.no_grad():
            norm.weight.mul_(1e6)
        recordings.append(record(bridge, prompt.ids))
    for site in WRITTEN:
        found = direct_effects(recordings, prompt, site)
        np.testing.assert_allclose(found.frozen, found.recomputed, rtol=0, atol=1e-8)
        assert np.abs(found.frozen).max() > 1e-3


@every_family
def test_frozen_effects_of_all_components_add_up_to_the_donors_residual_read_with_the_recipients_scale(pair_of, family):
    pair = pair_of(family, 4, torch.float64)
    recipient, donor = pair.recordings
    found = {site: direct_effects(pair.recordings, pair.prompt, site) for site in ("attn_out", "mlp_out", "result")}
    if family not in POST_NORM and family != "neox":
        # Where there is no bias and no norm in between, heads through the donor's W_O are its attention.
        np.testing.assert_allclose(found["result"].frozen.sum(1), found["attn_out"].frozen[:, 0], rtol=0, atol=1e-10)
    layers = range(2)
    norm = recipient.bridge.ln_final.original_component
    change = sum(
        donor.layer(n, f"hook_{site}")[-1] - recipient.layer(n, f"hook_{site}")[-1]
        for n in layers
        for site in ("attn_out", "mlp_out")
    )
    columns = recipient.bridge.W_U[:, [pair.prompt.answer_id, pair.prompt.original_id]]
    with torch.no_grad():
        x = recipient.final_residual[-1]
        moved = with_scale_of(norm, x, x + change) - norm(x)
        expected = float(moved @ (columns[:, 0] - columns[:, 1]))
    assert sum(found[site].frozen.sum() for site in ("attn_out", "mlp_out")) == pytest.approx(expected, abs=2e-6)


def test_where_end_is_not_patched_nothing_is_direct(pair_of):
    pair = pair_of("llama", 2, torch.float64)
    end = len(pair.prompt.ids) - 1
    everywhere, at_end, elsewhere = (
        direct_effects(pair.recordings, pair.prompt, positions=at) for at in ("all", str(end), 3)
    )
    assert np.array_equal(everywhere.frozen, at_end.frozen) and not elsewhere.frozen.any()
    assert not elsewhere.recomputed.any()


def test_a_run_put_into_itself_has_no_direct_effect(pair_of):
    base, _ = pair_of("gemma2", 2, torch.float64).recordings
    for site in WRITTEN:
        found = direct_effects((base, base), pair_of("gemma2", 2, torch.float64).prompt, site)
        assert not found.frozen.any() and np.abs(found.recomputed).max() < 1e-6


def test_a_site_that_no_head_writes_into_the_stream_is_refused(pair_of):
    pair = pair_of()
    with pytest.raises(InputError, match="'v' is not written into the residual stream; choose z, result"):
        direct_effects(pair.recordings, pair.prompt, "v")
