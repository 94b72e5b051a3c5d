"""What fine-tuning changed against what is only carried: known truths, and identities of early × late."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.experiment import InputError
from core.patching import growing_pass
from core.patching.begun import Begun
from core.patching.budget import Budget
from core.patching.growing_pass import shape_of
from core.patching.measuring import Reader
from core.patching.origin import early_late, origin, smallest_block
from core.patching.origin_results import PATCHED, Block, EarlyLate
from core.patching.plan import CARRIED, DIRECTIONS, WEIGHT_SITES, Patch
from core.patching.sweeps import gap_of, patch_sets, run_plan, sweep
from core.patching.weight_norms import weight_norms
from core.readout import readout
from core.recording import record
from tests.random_llama import random_llama, recorded_pair
from tests.random_models import CASE_NAMES, CASES, FAMILIES, boot, fine_tuned
from tests.transplant import logit_diff, transplanted

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def known(pair_of, tmp_path_factory, tokenizer_of):
    """INSTRUCT is BASE but for W_Q of L0H3 and L1H0, and W_V of L0KV0, changed by hand. 4 heads in 2 groups."""
    pair = pair_of("llama", 2, torch.float64)
    changed = copy.deepcopy(pair.models[0])
    first, second = (layer.self_attn for layer in changed.model.layers)
    size = first.head_dim
    with torch.no_grad():
        first.q_proj.weight[3 * size :] *= -1.5
        second.q_proj.weight[:size] *= 2
        first.v_proj.weight[:size] *= 1.7
    folder = tmp_path_factory.mktemp("known")
    changed.save_pretrained(folder)
    bridge = boot(folder, tokenizer_of("byte_level"), torch.float64)
    return (pair.recordings[0], record(bridge, pair.prompt.ids)), pair.prompt


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_weight_maps_light_up_exactly_what_was_changed_by_hand(known, direction):
    expected = {
        "w_q": {(0, 3), (1, 0)},
        "w_k": set(),
        "w_v": {(0, 0)},
        "w_o": set(),
        "w_qk": {(0, 3), (1, 0)},
        "w_ov": {(0, 0), (0, 1)},
        "w_head": {(0, 0), (0, 1), (0, 3), (1, 0)},
        "w_attn": {(0, 0), (1, 0)},
        "w_mlp": set(),
        "w_layer": {(0, 0), (1, 0)},
        "w_embed": set(),
        "w_final": set(),
    }
    assert expected.keys() == set(WEIGHT_SITES)
    for site, lit in expected.items():
        effect = np.abs(sweep(*known, site, direction).effect)
        assert {tuple(map(int, cell)) for cell in np.argwhere(effect > 1e-8)} == lit, site


def test_activation_maps_light_up_what_only_carries_it(known):
    found = origin(*known)
    changed, patched = (np.abs(each.effect) > 1e-8 for each in (found.changed, found.patched))
    assert patched[1].all() and changed[1].tolist() == [True, False, False, False]
    # What was not changed carries all that it shows, and nothing is carried into the first layer.
    np.testing.assert_allclose(found.interaction[~changed], 0, atol=1e-10)
    np.testing.assert_allclose(found.carried.effect[0], 0, atol=1e-10)
    np.testing.assert_allclose(found.not_changed, found.carried.effect + found.interaction, atol=1e-12)
    mlp = origin(*known, "w_mlp")
    assert (mlp.changed.effect == 0).all() and np.abs(mlp.patched.effect).min() > 1e-6
    np.testing.assert_allclose(mlp.carried.effect, mlp.patched.effect, atol=1e-10)


@every_case
@pytest.mark.parametrize("site", PATCHED)
def test_the_own_weights_on_the_donors_stream_are_what_is_carried(pair_of, family, groups, site):
    """By hand: the recipient's sublayer run on the donor's recorded stream, its output put into the recipient."""
    pair = pair_of(family, groups, torch.float64)
    base, instruct = pair.recordings
    found = origin(pair.recordings, pair.prompt, site).carried
    assert found.source == CARRIED and found.site == PATCHED[site]
    point = {"z": "attn.hook_z", "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out"}[found.site]
    stream = "resid_mid" if site == "w_mlp" and family != "neox" else "resid_pre"
    ids = torch.tensor([base.ids])
    for layer in range(2):
        taken, final = [], []
        stand_in = instruct.layer(layer, f"hook_{stream}")[None].clone()
        hooks = [(f"blocks.{layer}.hook_{stream}", lambda x, hook: stand_in)]
        hooks += [(f"blocks.{layer}.{point}", lambda x, hook: taken.append(x.clone()))]
        with torch.no_grad():
            base.bridge.run_with_hooks(ids, return_type=None, fwd_hooks=hooks)

        def put(x, hook):
            if site == "w_head":
                x[:, :, 1] = taken[0][:, :, 1]
                return x
            return taken[0]

        hooks = [(f"blocks.{layer}.{point}", put), ("ln_final.hook_in", lambda x, hook: final.append(x))]
        with torch.no_grad():
            base.bridge.run_with_hooks(ids, return_type=None, fwd_hooks=hooks)
        candidates = (pair.prompt.answer_id, pair.prompt.original_id)
        want = float(readout(base.bridge).logit_diff(final[0][0, -1], *candidates))
        assert found.logit_diff[layer, 1 if site == "w_head" else 0] == pytest.approx(want, abs=1e-6)


@every_family
def test_early_and_late_halves_are_two_models_glued_together(pair_of, family):
    """Against transformers: BASE with INSTRUCT's embedding and first layers, and the other way round."""
    pair = pair_of(family, 4, torch.float64)
    found = early_late(pair.recordings, pair.prompt)
    candidates = (pair.prompt.answer_id, pair.prompt.original_id)
    for boundary in range(2):
        early = [Patch(0, "w_embed"), *(Patch(layer, "w_layer") for layer in range(boundary))]
        for values, models in ((found.ib, pair.models), (found.bi, pair.models[::-1])):
            glued = logit_diff(transplanted(family, *models, early), pair.prompt.ids, *candidates)
            assert values[boundary] == pytest.approx(glued, abs=2e-5)


def test_the_corners_are_the_plain_runs_and_the_effects_add_up(pair_of):
    pair = pair_of()
    found = early_late(pair.recordings, pair.prompt)
    gap = gap_of(pair.recordings, pair.prompt, "instruct_to_base")
    assert (found.bb, found.ii) == (gap.recipient, gap.donor)
    np.testing.assert_allclose(found.early + found.late, gap.donor - gap.recipient)
    np.testing.assert_allclose(
        found.ib - found.bb + (found.bi - found.bb) + found.interaction, gap.donor - gap.recipient
    )
    base, _ = pair.recordings
    same = early_late((base, base), pair.prompt)
    for effect in (same.early, same.late, same.interaction):
        np.testing.assert_allclose(effect, 0, atol=1e-5)
    assert list(found.to_frame().boundary) == [0, 1] and len(found.to_frame().columns) == 10


def test_without_a_change_of_the_embedding_early_begins_at_base_and_that_is_not_run(known, monkeypatch):
    ran, grow = [], growing_pass._grow
    monkeypatch.setattr(growing_pass, "_grow", lambda *given: ran.append(given[1]) or grow(*given))
    found = early_late(*known)
    assert (found.ib[0], found.bi[0]) == (found.bb, found.ii)
    assert [[patch.layer for (patch,) in rows] for rows in ran] == [[1], [1]]
    assert (sweep(*known, "resid_pre").effect[0] == 0).all()


def test_early_and_late_take_the_maps_that_are_known_and_measure_nothing_else(pair_of, monkeypatch):
    pair, seen = pair_of(), []
    given = pair.recordings, pair.prompt
    maps = [sweep(*given, "resid_pre", direction) for direction in DIRECTIONS]
    monkeypatch.setattr(Reader, "measures", lambda self, x: pytest.fail("measured"))
    watch = dict(progress=lambda done, total, found: seen.append((done, total, found.there.complete)))
    found = early_late(*given, back=maps[1], **watch)
    assert seen == [(4, 4, True)] and found.back.logit_diff is maps[1].logit_diff
    assert all(np.isnan(half.gap.no_op) and half.measures is None for half in (found.there, found.back))
    np.testing.assert_allclose(found.ib, maps[0].logit_diff[:, 0], rtol=0, atol=1e-5)
    monkeypatch.setattr(growing_pass, "_grow", lambda *given: pytest.fail("run"))
    np.testing.assert_array_equal(early_late(*given, there=maps[0], back=maps[1]).bi, maps[1].logit_diff[:, 0])


@pytest.fixture(scope="module")
def deep(tmp_path_factory, tokenizer_of):
    """Twelve layers, of which the weights of 4, 5 and 6 were changed; the candidates are what that moved apart most."""
    base = random_llama(layers=12, heads=4, d_model=32, d_head=8, d_mlp=48)
    folder = tmp_path_factory.mktemp("deep")
    (recorded, _), prompt = recorded_pair(base, folder, tokens=8)
    changed, other = copy.deepcopy(base), fine_tuned(base, size=0.1)
    for layer in (4, 5, 6):
        changed.model.layers[layer].load_state_dict(other.model.layers[layer].state_dict())
    changed.save_pretrained(folder / "changed")
    recordings = recorded, record(boot(folder / "changed", tokenizer_of("byte_level")), prompt.ids)
    moved = recordings[1].next_token_logits - recordings[0].next_token_logits
    return recordings, replace(prompt, answer_id=int(moved.argmax()), original_id=int(moved.argmin()))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_smallest_block_reaches_the_share_and_no_shorter_one_does(deep, direction):
    found = smallest_block(*deep, direction)
    layers = shape_of(deep[0][0]).layers
    first, last = found.layers
    assert 4 <= first <= last <= 6
    sets = [
        [(layer, 0) for layer in range(start, start + last - first)] for start in range(layers - (last - first) + 1)
    ]
    shorter = patch_sets(*deep, sets, "w_layer", direction)
    assert found.score >= 0.9 > shorter.score.max()
    assert found.shorter == pytest.approx(shorter.score.max(), abs=1e-4)
    own = patch_sets(*deep, [[(layer, 0) for layer in range(first, last + 1)]], "w_layer", direction)
    assert found.logit_diff == pytest.approx(own.logit_diff[0], abs=1e-4)


def test_a_search_that_was_broken_off_runs_only_the_blocks_that_are_missing(deep, monkeypatch):
    sizes, kept, grow = [], [], growing_pass._grow
    monkeypatch.setattr(growing_pass, "_grow", lambda *given: sizes.append(len(given[1])) or grow(*given))
    small = Budget(10**9, 4 * len(deep[1].ids))

    def keep(ran) -> None:
        kept.append((len(sizes), ran))

    whole, of_whole = smallest_block(*deep, budget=small, keep=keep), list(sizes)
    for stop in (1, len(kept) // 2, len(kept) - 1):
        ran, begun = kept[stop]
        sizes.clear()
        assert smallest_block(*deep, budget=small, begun=begun) == whole
        assert sizes == of_whole[ran:] and len(sizes) < len(of_whole)
    assert len(of_whole) > 4
    other = smallest_block(*deep, begun=Begun.nothing(3))
    assert other.layers == whole.layers


def test_between_two_chunks_a_search_says_what_it_has_and_can_be_left(deep):
    seen = []

    def leave(done, total, best) -> None:
        seen.append((done, total, best))
        if len(seen) == 3:
            raise RuntimeError("left")

    with pytest.raises(RuntimeError, match="left"):
        smallest_block(*deep, budget=Budget(10**9, 4 * len(deep[1].ids)), progress=leave)
    assert [done for done, _, _ in seen] == [0, 0, 0] and isinstance(seen[0][2], Block)


def test_a_pair_without_a_gap_has_no_block(pair_of):
    base, _ = pair_of().recordings
    found = smallest_block((base, base), pair_of().prompt)
    assert isinstance(found, Block) and found.layers is None and np.isnan(found.logit_diff)


def test_only_components_with_an_activation_of_their_own_have_an_origin(pair_of):
    with pytest.raises(InputError, match="w_head, w_attn, w_mlp"):
        origin(pair_of().recordings, pair_of().prompt, "w_layer")


def test_the_table_of_origins_has_all_four_effects_and_scores(known):
    found = origin(*known, "w_attn")
    frame = found.to_frame()
    assert list(frame.columns[:4]) == ["direction", "site", "layer", "head"] and len(frame) == 2
    np.testing.assert_allclose(frame.interaction, frame.patched - frame.changed - frame.carried)
    assert {f"{name}_score" for name in ("changed", "carried", "patched", "interaction")} < set(frame)
    assert found.complete and isinstance(early_late(*known), EarlyLate)


def test_norms_see_what_was_changed_and_nothing_else(known):
    (base, instruct), _ = known
    found = weight_norms(base.bridge, instruct.bridge)
    assert {tuple(map(int, cell)) for cell in np.argwhere(found.heads)} == {(0, 0), (0, 1), (0, 3), (1, 0)}
    assert (found.attention > 0).all() and (found.mlp == 0).all()
    # W_Q of L1H0 was doubled: the change is as large as the matrix was.
    parts = [getattr(base.bridge.blocks[1].attn, f"W_{name}")[0] for name in "QKVO"]
    whole = torch.cat([part.flatten() for part in parts]).norm()
    assert found.heads[1, 0] == pytest.approx(float((parts[0].norm() / whole).detach()), rel=1e-5)


@every_family
def test_every_familys_mlps_have_a_norm(pair_of, family):
    pair = pair_of(family, 4, torch.float64)
    found = weight_norms(*(recording.bridge for recording in pair.recordings))
    assert found.heads.shape == (2, 4)
    assert all(np.isfinite(values).all() and (values > 0).all() for values in (found.heads, found.attention, found.mlp))


def test_a_plan_may_mix_sources(known):
    """The same place taken from the donor and from the own weights, in one pass, as in two."""
    rows = [(Patch(1, "z", (2,)),), (Patch(1, "z", (2,), (), CARRIED),), (Patch(1, "w_head", (0,)),)]
    together = run_plan(*known, rows, "instruct_to_base", lambda gap, values, measures: values)
    apart = [run_plan(*known, [row], "instruct_to_base", lambda gap, values, measures: values)[0] for row in rows]
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-10)
