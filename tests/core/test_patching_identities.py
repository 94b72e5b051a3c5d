"""What any correct patch must satisfy, whatever the implementation: boundaries, order, chunks, and groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.patching.budget import Budget
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.greedy import greedy
from core.patching.growing_pass import shape_of
from core.patching.plan import DIRECTIONS, SITES, Patch
from core.patching.results import Sweep
from core.patching.sweeps import gap_of, patch_pairs, patch_sets, position_map, run_plan, sweep
from core.readout import readout
from tests.random_models import CASE_NAMES, CASES, FAMILIES

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)
ROUNDING = 1e-5


def logit_diffs(recordings, prompt, rows, direction="instruct_to_base", **how):
    return run_plan(recordings, prompt, rows, direction, lambda gap, values, measures: values, **how)


def read_through(reader_recording, residual, prompt) -> float:
    reader = readout(reader_recording.bridge)
    return float(reader.logit_diff(residual[-1], prompt.answer_id, prompt.original_id))


@every_case
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_sublayers_output_and_the_embedding_give_the_donors_residual(pair_of, family, groups, direction):
    """With attention's outputs whole; z would still pass the recipient's W_O, as the next test does."""
    pair = pair_of(family, groups)
    recipient, donor = pair.recordings if direction == "instruct_to_base" else pair.recordings[::-1]
    layers = range(shape_of(recipient).layers)
    everything = [Patch(0, "resid_pre"), *(Patch(n, site) for n in layers for site in ("attn_out", "mlp_out"))]
    found = logit_diffs(pair.recordings, pair.prompt, [tuple(everything)], direction)
    expected = read_through(recipient, donor.final_residual, pair.prompt)
    assert abs(expected - read_through(recipient, recipient.final_residual, pair.prompt)) > 1e-3
    assert found[0] == pytest.approx(expected, abs=ROUNDING)


@every_case
def test_every_z_and_mlp_differ_from_the_donors_residual_by_the_recipients_output_weights(pair_of, family, groups):
    pair = pair_of(family, groups)
    recipient, donor = pair.recordings
    shape = shape_of(recipient)
    heads = tuple(range(shape.heads))
    row = [Patch(0, "resid_pre")]
    row += [patch for n in range(shape.layers) for patch in (Patch(n, "z", heads), Patch(n, "mlp_out"))]
    found = logit_diffs(pair.recordings, pair.prompt, [tuple(row)])
    residual = donor.layer(0, "hook_resid_pre").clone()
    for n in range(shape.layers):
        block = recipient.bridge.blocks[n]
        with torch.no_grad():
            written = block.attn.o.original_component(donor.layer(n, "attn.hook_z").flatten(-2).unsqueeze(0))
            if hasattr(block, "ln1_post"):
                written = block.ln1_post.original_component(written)
        residual += written[0] + donor.layer(n, "hook_mlp_out")
    assert found[0] == pytest.approx(read_through(recipient, residual, pair.prompt), abs=ROUNDING)


@every_case
def test_the_recipients_own_activation_changes_nothing_at_any_site(pair_of, family, groups):
    base, _ = pair_of(family, groups).recordings
    prompt = pair_of(family, groups).prompt
    for site in SITES:
        if site == "resid_mid" and family == "neox":
            continue
        for positions in ("all", "end", 3):
            found = sweep((base, base), prompt, site, positions=positions)
            assert np.abs(found.effect).max() < ROUNDING, (site, positions)
            assert found.gap.no_op < ROUNDING


@every_case
@pytest.mark.parametrize("positions", ["all", "end", 3])
def test_a_groups_value_patch_equals_the_joint_value_only_patch_of_its_heads(pair_of, family, groups, positions):
    """Of the values at all positions; at chosen ones v names the attended tokens and value-only the attending."""
    pair = pair_of(family, groups)
    joint = sweep(pair.recordings, pair.prompt, "joint_value_only", positions=positions)
    if positions == "all":
        value = sweep(pair.recordings, pair.prompt, "v")
        np.testing.assert_allclose(joint.logit_diff, value.logit_diff, rtol=0, atol=ROUNDING)
    singles = sweep(pair.recordings, pair.prompt, "value_only", positions=positions)
    members = [[(n, h) for h in shape_of(pair.recordings[0]).heads_of(g)] for n in range(2) for g in range(groups)]
    sets = patch_sets(pair.recordings, pair.prompt, members, "value_only", positions=positions)
    np.testing.assert_allclose(joint.logit_diff.ravel(), sets.logit_diff, rtol=0, atol=ROUNDING)
    if groups == 4:
        np.testing.assert_allclose(joint.logit_diff, singles.logit_diff, rtol=0, atol=ROUNDING)


@every_case
@pytest.mark.parametrize("positions", ["all", "end", 3])
def test_counterfactuals_equal_writing_the_product_of_recorded_pattern_and_values(pair_of, family, groups, positions):
    pair = pair_of(family, groups)
    base, instruct = pair.recordings
    shape = shape_of(base)
    places = slice(None) if positions == "all" else [shape.positions - 1 if positions == "end" else positions]
    for site, of_pattern, of_value in (("value_only", base, instruct), ("pattern_only", instruct, base)):
        found = sweep(pair.recordings, pair.prompt, site, positions=positions)
        for layer, head in ((0, 3), (1, 1)):
            pattern = of_pattern.layer(layer, "attn.hook_pattern")[head]
            z = pattern @ of_value.layer(layer, "attn.hook_v")[:, shape.group_of(head)]
            final = []

            def write(x, hook):
                x[0, places, head] = z[places]
                return x

            hooks = [(f"blocks.{layer}.attn.hook_z", write), ("ln_final.hook_in", lambda x, hook: final.append(x))]
            with torch.no_grad():
                base.bridge.run_with_hooks(torch.tensor([base.ids]), return_type=None, fwd_hooks=hooks)
            expected = read_through(base, final[0][0], pair.prompt)
            assert found.logit_diff[layer, head] == pytest.approx(expected, abs=ROUNDING)


@every_case
def test_donor_values_under_the_donors_pattern_are_the_output_patch(pair_of, family, groups):
    pair = pair_of(family, groups)
    shape = shape_of(pair.recordings[0])
    group, heads = groups - 1, tuple(shape.heads_of(groups - 1))
    rows = [(Patch(1, "pattern", heads), Patch(1, "v", (group,))), (Patch(1, "z", heads),)]
    both, output = logit_diffs(pair.recordings, pair.prompt, rows)
    assert both == pytest.approx(output, abs=ROUNDING)


@every_family
def test_the_stream_patched_between_two_layers_is_the_donor_from_there_on(pair_of, family):
    """resid_pre of the last layer: the recipient's last layer on the donor's stream, run by hand."""
    pair = pair_of(family, 4)
    base, instruct = pair.recordings
    found = sweep(pair.recordings, pair.prompt, "resid_pre")
    final = []
    hooks = [("blocks.1.hook_resid_pre", lambda x, hook: instruct.layer(1, "hook_resid_pre").unsqueeze(0).clone())]
    hooks += [("ln_final.hook_in", lambda x, hook: final.append(x))]
    with torch.no_grad():
        base.bridge.run_with_hooks(torch.tensor([base.ids]), return_type=None, fwd_hooks=hooks)
    assert found.logit_diff[1, 0] == pytest.approx(read_through(base, final[0][0], pair.prompt), abs=ROUNDING)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "neox"])
def test_a_patch_of_resid_mid_changes_the_stream_and_not_only_what_the_mlp_reads(pair_of, family):
    """resid_mid is resid_pre + attn_out: patched after the donor's resid_pre and attn_out it changes nothing."""
    pair = pair_of(family, 4)
    rows = [(Patch(n, "resid_mid"),) for n in range(2)]
    rows += [(Patch(n, "resid_pre"), Patch(n, "attn_out")) for n in range(2)]
    found = logit_diffs(pair.recordings, pair.prompt, rows)
    np.testing.assert_allclose(found[:2], found[2:], rtol=0, atol=ROUNDING)
    at_end = position_map(pair.recordings, pair.prompt, "resid_mid").logit_diff[:, -1]
    last = sweep(pair.recordings, pair.prompt, "resid_mid", positions="end").logit_diff[:, 0]
    np.testing.assert_allclose(at_end, last, rtol=0, atol=ROUNDING)


def test_a_model_without_resid_mid_says_so(pair_of):
    pair = pair_of("neox", 4)
    with pytest.raises(ValueError, match="in parallel"):
        sweep(pair.recordings, pair.prompt, "resid_mid")


@pytest.mark.parametrize("site", ["z", "value_only", "pattern_only", "result"])
@every_family
def test_a_sets_score_depends_neither_on_its_order_nor_on_chunks(pair_of, family, site):
    pair = pair_of(family, 4)
    members = [(0, 1), (1, 0), (1, 2), (0, 3)]
    rows = [tuple(Patch(layer, site, (head,)) for layer, head in order) for order in (members, members[::-1])]
    # Beside other rows, in a chunk of its own, and split over patches of several heads.
    rows += [(Patch(0, site, (1, 3)), Patch(1, site, (2, 0)))]
    company = [(Patch(layer, site, (head,)),) for layer in range(2) for head in range(4)]
    together = logit_diffs(pair.recordings, pair.prompt, rows + company)
    positions = len(pair.prompt.ids)
    alone = logit_diffs(
        pair.recordings, pair.prompt, company[::-1] + rows, budget=Budget(bytes=10**9, tokens=2 * positions)
    )
    np.testing.assert_allclose(together[:3], together[0], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(alone[-3:], together[0], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(alone[:-3][::-1], together[3:], rtol=0, atol=ROUNDING)
    assert np.abs(together[3:] - together[0]).min() > 1e-4


def test_a_set_of_one_is_the_sweeps_cell_and_a_pair_is_the_set_of_two(pair_of):
    pair = pair_of()
    single = sweep(pair.recordings, pair.prompt, "z")
    members = single.top(3)
    pairs = patch_pairs(pair.recordings, pair.prompt, members)
    np.testing.assert_allclose(np.diag(pairs.logit_diff), [single.logit_diff[m] for m in members], atol=ROUNDING)
    sets = patch_sets(pair.recordings, pair.prompt, [members[:2], members[::2], members[1:]])
    np.testing.assert_allclose(
        sets.logit_diff, [pairs.logit_diff[0, 1], pairs.logit_diff[0, 2], pairs.logit_diff[1, 2]], atol=ROUNDING
    )
    expected = sets.effect[0] - single.effect[members[0]] - single.effect[members[1]]
    assert pairs.interaction[0, 1] == pairs.interaction[1, 0] == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_greedy_curve_is_of_the_scores_of_its_sets_and_each_choice_is_the_best(pair_of, direction):
    pair = pair_of("mistral", 4)
    found = greedy(pair.recordings, pair.prompt, 3, direction=direction, candidates=None)
    assert found.complete and len(set(found.members)) == 3
    grown = [found.members[:n] for n in (1, 2, 3)]
    sets = patch_sets(pair.recordings, pair.prompt, grown, direction=direction)
    np.testing.assert_allclose(found.logit_diff, sets.logit_diff, rtol=0, atol=ROUNDING)
    others = [(n, h) for n in range(2) for h in range(4) if (n, h) not in found.members[:2]]
    tried = patch_sets(pair.recordings, pair.prompt, [[*found.members[:2], o] for o in others], direction=direction)
    assert others[int(np.argmin(np.abs(tried.gap.donor - tried.logit_diff)))] == found.members[2]


def test_greedy_ends_where_no_other_head_brings_the_set_closer_by_more_than_the_noise_floor(pair_of):
    pair = pair_of("mistral", 4)
    found = greedy(pair.recordings, pair.prompt, 99, candidates=None)
    assert found.complete and found.ended and 0 < len(found.members) < 8
    others = [(n, h) for n in range(2) for h in range(4) if (n, h) not in found.members]
    tried = patch_sets(pair.recordings, pair.prompt, [[*found.members, other] for other in others])
    distance = np.abs(found.gap.donor - found.logit_diff)
    nearer = distance[-1] - np.abs(tried.gap.donor - tried.logit_diff)
    assert (nearer <= tried.noise_floor).all()
    assert (np.diff(distance) < 0).all()


def test_greedy_takes_what_is_beyond_its_own_floor_where_the_nearest_head_is_not(pair_of):
    pair = pair_of()
    gap = Gap("instruct_to_base", 0.0, 4.0, floor=NoiseFloor(3, (1.0, 0.1, 0.1)))
    for early, chosen in ((0.9, ((2, 0),)), (1.1, ((0, 0),))):
        singles = Sweep("z", "all", gap, np.array([[early], [0.05], [0.8]]))
        found = greedy(pair.recordings, pair.prompt, 1, singles=singles)
        assert (found.members, found.ended) == (chosen, False)


def test_greedy_between_a_model_and_itself_chooses_nobody(pair_of):
    base, _ = pair_of().recordings
    found = greedy((base, base), pair_of().prompt, 3)
    assert found.complete and found.members == () and found.to_frame().empty


def test_a_single_position_swept_equals_the_map_at_that_position(pair_of):
    pair = pair_of("gemma2", 2)
    grid = position_map(pair.recordings, pair.prompt, "mlp_out")
    for positions in (2, "end"):
        column = len(pair.prompt.ids) - 1 if positions == "end" else positions
        found = sweep(pair.recordings, pair.prompt, "mlp_out", positions=positions)
        np.testing.assert_allclose(found.logit_diff[:, 0], grid.logit_diff[:, column], rtol=0, atol=ROUNDING)


def test_the_two_directions_share_their_plain_runs(pair_of):
    pair = pair_of()
    there, back = (gap_of(pair.recordings, pair.prompt, direction) for direction in DIRECTIONS)
    assert (there.recipient, there.donor) == (back.donor, back.recipient)
    assert there.size == pytest.approx(back.size)
