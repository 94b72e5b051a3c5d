"""The norm-matched null: the size of a patch without its content."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.experiment import InputError
from core.patching.control_results import DRAWS
from core.patching.matched import matched
from core.patching.null import null
from core.patching.plan import DIRECTIONS, at_random
from core.patching.sweeps import patch_sets
from core.readout import readout
from tests.random_models import FAMILIES

every_family = pytest.mark.parametrize("family", FAMILIES)
SETS = [[(0, 1)], [(1, 2), (0, 3)]]


@every_family
def test_at_every_position_a_draw_lies_as_far_away_as_the_donor_does(pair_of, family):
    recipient, donor = pair_of(family, 4, torch.float64).recordings
    draws = [matched(recipient, donor, at_random(n)) for n in range(2)]
    for layer in range(2):
        own, taken = (each.layer(layer, "attn.hook_z") for each in (recipient, donor))
        moved = [draw.layer(layer, "attn.hook_z") - own for draw in draws]
        for change in moved:
            torch.testing.assert_close(change.norm(dim=-1), (taken - own).norm(dim=-1), rtol=1e-6, atol=1e-12)
        # Another direction each time, which is not the donor's.
        for other in (moved[1], taken - own):
            cosine = torch.cosine_similarity(moved[0], other, dim=-1)
            assert cosine.abs().max() < 0.99 and abs(float(cosine.mean())) < 0.2


def test_draws_are_the_same_every_time_and_whatever_else_is_patched(pair_of):
    pair = pair_of("llama", 2, torch.float64)
    once, again = null(pair.recordings, pair.prompt, SETS), null(pair.recordings, pair.prompt, SETS[1:])
    np.testing.assert_allclose(once.logit_diff[1], again.logit_diff[0], rtol=0, atol=1e-12)
    assert once.logit_diff.shape == (2, DRAWS) and np.ptp(once.logit_diff, axis=1).min() > 1e-6


def test_a_donor_that_differs_in_nothing_gives_draws_that_move_nothing(pair_of):
    pair = pair_of("qwen3", 2, torch.float64)
    base, _ = pair.recordings
    assert torch.equal(matched(base, base, at_random(3)).layer(1, "attn.hook_z"), base.layer(1, "attn.hook_z"))
    assert np.abs(null((base, base), pair.prompt, SETS).effect).max() < 1e-10


@every_family
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_rows_say_what_plain_forwards_with_the_same_vectors_say(pair_of, family, direction):
    pair = pair_of(family, 4, torch.float64)
    recipient, donor = pair.recordings if direction == "instruct_to_base" else pair.recordings[::-1]
    found = null(pair.recordings, pair.prompt, SETS, direction)
    for s, members in enumerate(SETS):
        for draw in (0, 5):
            source = matched(recipient, donor, at_random(draw))
            final, hooks = [], [("ln_final.hook_in", lambda x, hook: final.append(x))]
            for layer, head in members:

                def write(x, hook, layer=layer, head=head):
                    x[0, :, head] = source.layer(layer, "attn.hook_z")[:, head]
                    return x

                hooks.append((f"blocks.{layer}.attn.hook_z", write))
            with torch.no_grad():
                recipient.bridge.run_with_hooks(torch.tensor([recipient.ids]), return_type=None, fwd_hooks=hooks)
            candidates = pair.prompt.answer_id, pair.prompt.original_id
            expected = float(readout(recipient.bridge).logit_diff(final[0][0, -1], *candidates))
            assert found.logit_diff[s, draw] == pytest.approx(expected, abs=2e-6)
            assert abs(expected - found.gap.recipient) > 1e-4


def test_the_patch_beside_the_draws_is_the_donors_and_their_range_says_whether_it_lies_within(pair_of):
    pair = pair_of("llama", 2, torch.float64)
    found = null(pair.recordings, pair.prompt, SETS, positions="end")
    sets = patch_sets(pair.recordings, pair.prompt, SETS, positions="end")
    np.testing.assert_allclose(found.patched, sets.logit_diff, rtol=0, atol=1e-12)
    inside = (found.patched >= found.logit_diff.min(1)) & (found.patched <= found.logit_diff.max(1))
    assert np.array_equal(found.within, inside)
    table = found.to_frame()
    assert list(table["set"].unique()) == ["L0H1", "L0H3+L1H2"] and len(table) == 2 * (DRAWS + 1)
    of_draws = table[table["draw"].notna()].groupby("set", sort=False)["effect"]
    np.testing.assert_allclose(of_draws.mean(), found.mean)
    np.testing.assert_array_equal(table[table["draw"].notna()]["score"], found.score.ravel())
    np.testing.assert_allclose(np.stack([of_draws.min(), of_draws.max()], -1), found.span)
    np.testing.assert_allclose(table[table["draw"].isna()]["effect"], found.patched_effect)


def test_no_draw_is_no_null(pair_of):
    pair = pair_of()
    with pytest.raises(InputError, match="a null of 0 draws has no range; choose 1 or more"):
        null(pair.recordings, pair.prompt, SETS, draws=0)
