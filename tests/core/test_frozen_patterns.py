"""Frozen patterns: a patched run whose attention is the recipient's own, but for what the patch itself decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.patching.greedy import greedy
from core.patching.growing_pass import shape_of
from core.patching.plan import DIRECTIONS, OWN, SITES, Patch, cell, positions_of
from core.patching.sweeps import patch_pairs, patch_sets, position_map, run_plan, sweep
from core.readout import readout
from tests.random_models import CASE_NAMES, CASES, FAMILIES, boot
from tests.transplant import transplanted

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)
# Transformers compute norms and soft caps in float32 whatever the dtype.
EXACT = dict(rtol=0, atol=2e-5)
HOOKS = {site: f"attn.hook_{site}" for site in ("z", "q", "k", "v", "pattern")}


def by_hand(bridge, pair, recipient, patches=(), decided=(), donor=None) -> float:
    """A plain forward with the recipient's patterns in every layer, save for the `decided` (layer, head)."""

    def freeze(layer):
        def hook(x, hook):
            own = recipient.layer(layer, "attn.hook_pattern")
            return torch.stack([x[0, h] if (layer, h) in decided else own[h] for h in range(len(own))])[None]

        return hook

    def take(patch):
        def hook(x, hook):
            # In place: the stream itself, and not only what reads it at this point.
            taken = donor.layer(patch.layer, HOOKS.get(patch.site, f"hook_{patch.site}"))[None]
            positions = list(patch.positions) or slice(None)
            if patch.site == "pattern":
                for head in patch.heads:
                    x[0, head, positions] = taken[0, head, positions]
            elif patch.heads:
                for head in patch.heads:
                    x[0, positions, head] = taken[0, positions, head]
            else:
                x[0, positions] = taken[0, positions]
            return x

        return hook

    final = []
    layers = range(bridge.cfg.n_layers)
    hooks = [(f"blocks.{layer}.attn.hook_pattern", freeze(layer)) for layer in layers]
    hooks += [(f"blocks.{p.layer}.{HOOKS.get(p.site, f'hook_{p.site}')}", take(p)) for p in patches]
    hooks.append(("ln_final.hook_in", lambda x, hook: final.append(x)))
    with torch.no_grad():
        bridge.run_with_hooks(torch.tensor([recipient.ids]), return_type=None, fwd_hooks=hooks)
    reader = readout(bridge)
    return float(reader.logit_diff(final[0][0, -1], pair.prompt.answer_id, pair.prompt.original_id))


def decided_by(patch: Patch, shape) -> set[tuple[int, int]]:
    heads = [h for g in patch.heads for h in shape.heads_of(g)] if patch.site == "k" else patch.heads
    return {(patch.layer, head) for head in heads} if patch.site in ("q", "k", "pattern") else set()


@every_case
@pytest.mark.parametrize("positions", ["all", "end", 3])
def test_every_site_equals_a_plain_forward_with_the_recipients_patterns_in_it(pair_of, family, groups, positions):
    pair = pair_of(family, groups, torch.float64)
    base, instruct = pair.recordings
    shape = shape_of(base)
    for site in SITES:
        if site.startswith(("joint", "value", "pattern_only", "result")) or (site, family) == ("resid_mid", "neox"):
            continue
        found = sweep(pair.recordings, pair.prompt, site, positions=positions, frozen_patterns=True)
        for layer in range(2):
            patch = cell(site, layer, shape.width(site) - 1, positions_of(positions, shape), shape)
            expected = by_hand(base.bridge, pair, base, [patch], decided_by(patch, shape), instruct)
            np.testing.assert_allclose(found.logit_diff[layer, -1], expected, **EXACT, err_msg=f"{site} {layer}")


@every_family
def test_counterfactuals_and_results_are_held_too(pair_of, family):
    """value-only is v's with the pattern that z held anyway; with every head of a group they are one."""
    pair = pair_of(family, 4, torch.float64)
    found = {
        site: sweep(pair.recordings, pair.prompt, site, frozen_patterns=True).logit_diff for site in ("value_only", "v")
    }
    np.testing.assert_allclose(found["value_only"], found["v"], **EXACT)
    base, instruct = pair.recordings
    shape, reference = shape_of(base), {}
    for site, pattern, value in (("pattern_only", instruct, base), ("result", instruct, instruct)):
        frozen = sweep(pair.recordings, pair.prompt, site, frozen_patterns=True)
        z = pattern.layer(0, "attn.hook_pattern")[1] @ value.layer(0, "attn.hook_v")[:, shape.group_of(1)]
        swapped = torch.nn.functional.pad(z[:, None], (0, 0, 1, 2))[None]
        source = type(base)(base.bridge, base.ids, base.activations | {"blocks.0.attn.hook_z": swapped})
        reference[site] = by_hand(base.bridge, pair, base, [Patch(0, "z", (1,))], (), source)
        if site == "pattern_only":
            np.testing.assert_allclose(frozen.logit_diff[0, 1], reference[site], **EXACT)
        else:
            free = sweep(pair.recordings, pair.prompt, site)
            assert np.abs(frozen.logit_diff[0] - free.logit_diff[0]).max() > 1e-6
            np.testing.assert_allclose(frozen.logit_diff[1], free.logit_diff[1], **EXACT)


@every_family
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_weights_equal_a_plain_forward_of_a_model_that_has_them(pair_of, family, direction, tmp_path):
    pair = pair_of(family, 4, torch.float64)
    recipient = pair.recordings[0 if direction == "instruct_to_base" else 1]
    models = pair.models if direction == "instruct_to_base" else pair.models[::-1]
    own = {"w_head": {(0, 1)}, "w_ov": set(), "w_k": {(0, 1)}, "w_layer": {(0, h) for h in range(4)}, "w_embed": set()}
    rows = [(Patch(0, site, (1,) if site in ("w_head", "w_ov", "w_k") else ()),) for site in own]
    found = run_plan(
        pair.recordings, pair.prompt, rows, direction, lambda gap, values, measures: values, frozen_patterns=True
    )
    for n, (row, decided) in enumerate(zip(rows, own.values())):
        transplanted(family, *models, row).save_pretrained(tmp_path / str(n))
        bridge = boot(tmp_path / str(n), recipient.bridge.tokenizer, torch.float64)
        expected = by_hand(bridge, pair, recipient, decided=decided)
        np.testing.assert_allclose(found[n], expected, **EXACT, err_msg=str(row))


@pytest.mark.parametrize("site", ["w_qk", "w_ov", "w_head"])
def test_one_head_of_a_group_decides_for_itself_alone(pair_of, site):
    """Its keys and values stand in a copy of the row, whose patterns are held like the row's own."""
    pair = pair_of("llama", 2, torch.float64)
    base, instruct = pair.recordings
    found = sweep(pair.recordings, pair.prompt, site, frozen_patterns=True)
    free = sweep(pair.recordings, pair.prompt, site)
    # In the last layer there is no later pattern: w_ov alone leaves its own layer's where it is.
    np.testing.assert_allclose(found.logit_diff[1], free.logit_diff[1], **EXACT)
    assert np.abs(found.logit_diff[0] - free.logit_diff[0]).min() > 1e-6


def test_in_a_set_each_patched_pattern_runs_and_every_other_is_held(pair_of):
    pair = pair_of("qwen3", 2, torch.float64)
    base, instruct = pair.recordings
    rows = [(Patch(0, "z", (2,)), Patch(1, "q", (1,))), (Patch(0, "k", (0,)), Patch(0, "z", (3,)), Patch(1, "mlp_out"))]
    found = run_plan(
        pair.recordings, pair.prompt, rows, "instruct_to_base", lambda gap, values, measures: values,
        frozen_patterns=True,
    )  # fmt: skip
    for row, value in zip(rows, found):
        decided = set().union(*(decided_by(patch, shape_of(base)) for patch in row))
        np.testing.assert_allclose(value, by_hand(base.bridge, pair, base, row, decided, instruct), **EXACT)


@every_family
def test_every_value_is_the_whole_of_what_a_layer_moves_when_nothing_else_is_patched(pair_of, family):
    """The donor's values in a layer's groups at once are its z under the recipient's patterns."""
    pair = pair_of(family, 4, torch.float64)
    rows = [(Patch(0, "v", (0, 1, 2, 3)),), (Patch(0, "value_only", (0, 1, 2, 3)),)]
    found = run_plan(
        pair.recordings, pair.prompt, rows, "instruct_to_base", lambda gap, values, measures: values,
        frozen_patterns=True,
    )  # fmt: skip
    np.testing.assert_allclose(found[0], found[1], **EXACT)


def test_all_plans_take_the_switch_and_agree_with_the_sweep(pair_of):
    pair = pair_of("mistral", 2, torch.float64)
    how = dict(frozen_patterns=True)
    single = sweep(pair.recordings, pair.prompt, "z", **how)
    free = sweep(pair.recordings, pair.prompt, "z")
    assert np.abs(single.logit_diff[0] - free.logit_diff[0]).max() > 1e-4
    members = [(0, 1), (1, 2)]
    expected = [single.logit_diff[member] for member in members]
    sets = patch_sets(pair.recordings, pair.prompt, [[member] for member in members], **how)
    np.testing.assert_allclose(sets.logit_diff, expected, **EXACT)
    pairs = patch_pairs(pair.recordings, pair.prompt, members, **how)
    np.testing.assert_allclose(np.diag(pairs.logit_diff), expected, **EXACT)
    grown = greedy(pair.recordings, pair.prompt, 2, candidates=None, **how)
    again = patch_sets(pair.recordings, pair.prompt, [grown.members[:1], grown.members[:2]], **how)
    np.testing.assert_allclose(grown.logit_diff, again.logit_diff, **EXACT)
    end = len(pair.prompt.ids) - 1
    swept = sweep(pair.recordings, pair.prompt, "resid_pre", positions="end", **how)
    mapped = position_map(pair.recordings, pair.prompt, "resid_pre", **how)
    np.testing.assert_allclose(mapped.logit_diff[:, end], swept.logit_diff[:, 0], **EXACT)


@every_family
def test_between_a_model_and_itself_nothing_moves(pair_of, family):
    pair = pair_of(family, 2 if family != "neox" else 4, torch.float64)
    base, _ = pair.recordings
    for site in ("z", "q", "resid_pre"):
        found = sweep((base, base), pair.prompt, site, frozen_patterns=True)
        assert np.abs(found.effect).max() < 1e-6 and found.gap.no_op < 1e-6
    own = [(Patch(0, "w_head", (1,), source=OWN),), (Patch(0, "w_layer", source=OWN),)]
    how = dict(frozen_patterns=True)
    found = run_plan(pair.recordings, pair.prompt, own, "instruct_to_base", lambda gap, v, m: gap.effect(v), **how)
    assert np.abs(found).max() < 1e-5
