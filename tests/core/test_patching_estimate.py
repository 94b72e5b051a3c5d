"""Attribution patching against TransformerLens' own on one model, and against exact patches of small changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformer_lens.tools.analysis.attribution_patching import attribution_patch

from core.experiment import InputError
from core.patching.estimate import ESTIMATED, estimate
from core.patching.results import agreement
from core.patching.sweeps import gap_of, sweep
from core.readout import readout
from core.recording import Recording, record
from tests.random_models import CASE_NAMES, CASES

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)


def nearby(pair, share: float) -> tuple[Recording, Recording]:
    """BASE, and a donor whose activations lie that share of the way towards INSTRUCT's."""
    base, instruct = pair.recordings
    mixed = {
        name: torch.lerp(x, instruct.activations[name], share) if x.shape == instruct.activations[name].shape else x
        for name, x in base.activations.items()
    }
    return base, Recording(instruct.bridge, instruct.ids, mixed)


@every_case
def test_the_estimate_is_the_patchs_effect_for_a_small_change(pair_of, family, groups):
    """The remainder is of second order, so a tenth of the change leaves a tenth of the relative error.

    Float64, with norms and patterns that transformers computes in float32: smaller changes would drown in rounding.
    """
    pair = pair_of(family, groups, torch.float64)
    for site in ESTIMATED:
        errors = []
        for share in (0.1, 0.01):
            recordings = nearby(pair, share)
            exact = sweep(recordings, pair.prompt, site).effect
            found = estimate(recordings, pair.prompt, (site,))[site].effect
            assert found.shape == exact.shape
            errors.append(np.abs(found - exact).max() / np.abs(exact).max())
        assert errors[1] < 0.03 and errors[1] < errors[0] / 5, (site, errors)


@pytest.mark.parametrize("family", ["llama", "neox", "gemma3"])
def test_between_two_prompts_of_one_model_it_equals_transformer_lens(pair_of, booted, family):
    """z and mlp_out summed over positions; TransformerLens needs one model, so the donor is BASE on other tokens."""
    pair = pair_of(family, 4)
    bridge = booted(family, "base", 4)
    prompt, ids = pair.prompt, pair.prompt.ids
    other = tuple(reversed(ids))
    recordings = record(bridge, ids), record(bridge, other)
    metric = lambda logits: logits[0, -1, prompt.answer_id] - logits[0, -1, prompt.original_id]  # noqa: E731
    scores = attribution_patch(bridge, torch.tensor([other]), torch.tensor([ids]), metric).node_scores
    expected = {"z": np.zeros((2, 4)), "mlp_out": np.zeros((2, 1))}
    for node, score in scores.items():
        if node.kind == "attn_head_out":
            expected["z"][node.layer, node.head] += score
        elif node.kind == "mlp_out":
            expected["mlp_out"][node.layer, 0] += score
    found = estimate(recordings, prompt, ("z", "mlp_out"))
    for site, values in expected.items():
        assert np.abs(values).max() > 0.01
        np.testing.assert_allclose(found[site].effect, values, rtol=0, atol=1e-4)


def test_every_sites_estimate_is_the_same_alone_and_together(pair_of):
    pair = pair_of()
    together = estimate(pair.recordings, pair.prompt)
    for site in ESTIMATED:
        alone = estimate(pair.recordings, pair.prompt, (site,))[site]
        np.testing.assert_allclose(alone.effect, together[site].effect, rtol=0, atol=1e-6)


def test_a_donor_equal_to_the_recipient_is_estimated_to_do_nothing(pair_of):
    base, _ = pair_of().recordings
    for found in estimate((base, base), pair_of().prompt).values():
        assert not found.effect.any()


def test_it_ranks_heads_much_as_exact_patches_do_and_says_how_well(pair_of):
    pair = pair_of()
    for direction in ("instruct_to_base", "base_to_instruct"):
        found = estimate(pair.recordings, pair.prompt, ("z",), direction)["z"]
        assert found.gap == gap_of(pair.recordings, pair.prompt, direction)
        assert agreement(found, sweep(pair.recordings, pair.prompt, "z", direction)).correlation > 0.7


def test_it_leaves_no_gradients_and_no_hooks_behind(pair_of):
    pair = pair_of()
    estimate(pair.recordings, pair.prompt)
    bridge = pair.bridges[0]
    assert all(weight.grad is None for weight in bridge.parameters())
    assert not any(point.has_hooks() for point in bridge.hook_dict.values())
    assert readout(bridge).weight.requires_grad is False


@pytest.mark.parametrize("family", ["llama", "olmo2", "gemma2"])
def test_it_runs_in_bfloat16(pair_of, family):
    pair = pair_of(family, 4, torch.bfloat16)
    for site, found in estimate(pair.recordings, pair.prompt).items():
        exact = sweep(pair_of(family, 4).recordings, pair.prompt, site).effect
        assert np.isfinite(found.effect).all() and found.effect.shape == exact.shape


def test_a_site_without_an_estimate_is_refused(pair_of):
    with pytest.raises(InputError, match="no estimate"):
        estimate(pair_of().recordings, pair_of().prompt, ("pattern",))
