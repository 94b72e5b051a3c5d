"""The circuit card: its numbers are those of its sets run one by one, and its identities hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

import core.patching.card as running
from core.experiment import Experiment, InputError
from core.models.loading import load_pair
from core.models.pairs import registry
from core.patching.budget import Budget
from core.patching.card import card
from core.patching.card_results import CHANGED, CURVES, Card
from core.patching.members import SET_SITES, Member
from core.patching.sweeps import patch_sets, sweep
from core.readout import readout
from core.runs import run

THERE, BACK = "instruct_to_base", "base_to_instruct"
SET = ((0, 1), (0, 2), (1, 3))
MANY = ((0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3))  # more than those of which all orders are looked at
EXACT = dict(rtol=0, atol=1e-9)
HEADS = tuple((layer, head) for layer in range(2) for head in range(4))


@pytest.fixture(scope="module")
def pair(pair_of):
    """2 layers of 4 heads in 2 groups, all weights of INSTRUCT moved; the candidates are those furthest apart."""
    made = pair_of("llama", 2, torch.float64)
    base, instruct = (recording.next_token_logits for recording in made.recordings)
    moved = instruct - base
    return replace(made, prompt=replace(made.prompt, answer_id=int(moved.argmax()), original_id=int(moved.argmin())))


@pytest.fixture(scope="module")
def three(pair) -> Card:
    return card(pair.recordings, pair.prompt, SET)


@pytest.fixture(scope="module")
def seven(pair) -> Card:
    return card(pair.recordings, pair.prompt, MANY)


@pytest.fixture(scope="module")
def tiny():
    loaded = load_pair(registry()["tiny"], device="cpu")
    return run(Experiment(answer="swift"), loaded)


def effect(pair, members, site="z", direction=THERE, positions="all") -> float:
    return float(patch_sets(pair.recordings, pair.prompt, [members], site, direction, positions).effect[0])


def rest(members, heads=HEADS) -> list[Member]:
    return [head for head in heads if head not in members]


@pytest.mark.parametrize(
    "site, positions", [("z", "all"), ("z", "end"), ("v", "all"), ("result", 4), ("w_head", "all")]
)
def test_every_number_is_that_of_its_set_run_alone(pair, site, positions):
    everything = [(layer, column) for layer in range(2) for column in range(2 if site == "v" else 4)]
    members = ((0, 1), (1, 0)) if site == "v" else SET
    found = card(pair.recordings, pair.prompt, members, site, positions)
    assert found.complete

    def alone(chosen, direction=THERE, at=site):
        return effect(pair, chosen, at, direction, positions)

    assert found.sufficiency.effect == pytest.approx(alone(members), abs=1e-9)
    assert found.necessity.effect == pytest.approx(alone(members, BACK), abs=1e-9)
    assert found.all.effect == pytest.approx(alone(everything), abs=1e-9)
    assert found.all_but.effect == pytest.approx(alone(rest(members, everything)), abs=1e-9)
    for member, amount in found.minimality.items():
        without = alone([other for other in members if other != member])
        assert amount.effect == pytest.approx(found.sufficiency.effect - without, abs=1e-9)
    for drawn, amount in zip(found.random, found.by_chance):
        assert amount.effect == pytest.approx(alone(drawn), abs=1e-9)
    if site in CHANGED and positions == "all":
        assert found.weights.effect == pytest.approx(alone(members, at=CHANGED[site]), abs=1e-9)
        assert found.carried.effect == pytest.approx(found.sufficiency.effect - found.weights.effect, abs=1e-12)
        measured = patch_sets(pair.recordings, pair.prompt, [members], CHANGED[site]).measures
        assert found.changed.measures.kl_donor == pytest.approx(measured.kl_donor, abs=1e-9)
    else:
        assert found.weights is None and found.carried is None


@pytest.mark.parametrize("members, direction", [(SET, THERE), (SET, BACK), (rest(SET), THERE), (HEADS, THERE)])
def test_the_runs_are_plain_forwards_with_the_heads_outputs_replaced(pair, three, members, direction):
    recipient, donor = pair.recordings if direction == THERE else pair.recordings[::-1]
    final = []

    def hook_of(layer):
        def write(z, hook):
            for head in [head for at, head in members if at == layer]:
                z[:, :, head] = donor.layer(layer, "attn.hook_z")[:, head]
            return z

        return f"blocks.{layer}.attn.hook_z", write

    hooks = [hook_of(0), hook_of(1), ("ln_final.hook_in", lambda x, hook: final.append(x))]
    with torch.no_grad():
        recipient.bridge.run_with_hooks(torch.tensor([recipient.ids]), return_type=None, fwd_hooks=hooks)
    candidates = (pair.prompt.answer_id, pair.prompt.original_id)
    plain = float(readout(recipient.bridge).logit_diff(final[0][0, -1], *candidates))
    gap = three.gap if direction == THERE else three.back.gap
    amount = three.necessity if direction == BACK else three.of(members)
    assert gap.recipient + amount.effect == pytest.approx(plain, abs=2e-5)


def test_completeness_of_everything_is_one_and_that_of_its_complement_the_rest(pair, three):
    every = card(pair.recordings, pair.prompt, HEADS)
    assert every.all_but.effect == 0 and every.sufficiency == every.all
    assert every.completeness == 1 and every.random == () and every.complete
    other = card(pair.recordings, pair.prompt, rest(SET))
    assert other.sufficiency.effect == pytest.approx(three.all_but.effect, abs=1e-9)
    assert three.completeness == pytest.approx(1 - other.sufficiency.effect / every.all.effect, abs=1e-9)


def test_all_heads_of_the_embedded_pair_move_the_whole_gap(tiny):
    """Nothing but what decides the heads' outputs was changed in it."""
    found = card(tiny.recordings, tiny.prompt, [(0, 1), (1, 2), (2, 5), (3, 1)])
    assert found.all.score == pytest.approx(1, abs=1e-5)
    assert found.completeness == pytest.approx(1 - found.all_but.score, abs=1e-5)
    assert len(set(found.random)) == 20


def test_one_head_alone_is_all_of_its_own_numbers(pair):
    found = card(pair.recordings, pair.prompt, [(1, 2)])
    assert found.minimality == {(1, 2): found.sufficiency.minus(found.of(()))}
    assert found.minimality[1, 2].effect == found.sufficiency.effect
    curves = found.curves(in_logits=True)
    assert set(curves.areas.values()) == {found.sufficiency.effect / 2}
    assert sorted(found.random) == [((1, head),) for head in (0, 1, 3)]
    assert found.complete and found.names == ["L1H2"]


def test_a_member_named_twice_counts_once(pair, three):
    again = card(pair.recordings, pair.prompt, [*SET[::-1], SET[0], (np.int64(1), np.int64(3))])
    assert again.members == SET
    np.testing.assert_array_equal(again.forth.logit_diff, three.forth.logit_diff)


def brute(pair, members) -> dict[frozenset, float]:
    subsets = {frozenset(order[:k]) for order in permutations(members) for k in range(1, len(members) + 1)}
    ordered = sorted(subsets, key=sorted)
    found = patch_sets(pair.recordings, pair.prompt, ordered).effect
    return {frozenset(): 0.0, **dict(zip(ordered, found.tolist()))}


def along(order, values) -> np.ndarray:
    return np.array([values[frozenset(order[:k])] for k in range(len(order) + 1)])


def greedy_by_hand(members, values, whole) -> list[Member]:
    order: list[Member] = []
    while left := [member for member in members if member not in order]:
        order.append(min(left, key=lambda member: abs(whole - values[frozenset([*order, member])])))
    return order


def test_of_few_members_the_random_curve_is_the_mean_over_every_order(pair, three):
    values = brute(pair, SET)
    every = np.array([along(order, values) for order in permutations(SET)])
    curves = three.curves(in_logits=True)
    np.testing.assert_allclose(curves.values["random"], every.mean(0), **EXACT)
    np.testing.assert_allclose(curves.low, every.min(0), **EXACT)
    np.testing.assert_allclose(curves.high, every.max(0), **EXACT)
    assert three.orders == ()


def test_of_more_members_it_is_that_of_the_drawn_orders(pair, seven):
    values = brute(pair, MANY)
    assert seven.complete and len(set(seven.orders)) == 10
    assert all(sorted(order) == sorted(MANY) for order in seven.orders)
    every = np.array([along(order, values) for order in seven.orders])
    np.testing.assert_allclose(seven.curves(in_logits=True).values["random"], every.mean(0), **EXACT)
    # Not all subsets have run.
    assert seven.forth.total < len(values)


@pytest.mark.parametrize("name, members", [("three", SET), ("seven", MANY)])
def test_orders_by_single_score_and_greedy_are_those_found_by_hand(request, pair, name, members):
    found, values = request.getfixturevalue(name), brute(pair, members)
    sign = np.sign(found.gap.size)
    single = sorted(members, key=lambda member: -sign * values[frozenset([member])])
    order = greedy_by_hand(members, values, found.gap.donor - found.gap.recipient)
    assert list(found.by_single) == single and list(found.greedy) == order
    curves = found.curves(in_logits=True)
    np.testing.assert_allclose(curves.values["single"], along(single, values), **EXACT)
    np.testing.assert_allclose(curves.values["greedy"], along(order, values), **EXACT)


def test_an_area_is_the_mean_height_of_its_curve(three):
    for in_logits, whole in ((True, three.sufficiency.effect), (False, three.sufficiency.score)):
        curves = three.curves(in_logits)
        for name in CURVES:
            heights = curves.values[name]
            assert heights[0] == 0 and heights[-1] == pytest.approx(whole)
            fine = np.interp(np.linspace(0, 3, 60_001), range(4), heights).mean()
            assert curves.areas[name] == pytest.approx(fine, abs=1e-4)
    assert three.curves(True).areas["greedy"] == pytest.approx(three.curves().areas["greedy"] * three.gap.size)


def test_the_same_seed_gives_the_same_card_and_another_one_other_draws(pair, seven):
    again = card(pair.recordings, pair.prompt, MANY)
    assert (again.random, again.orders) == (seven.random, seven.orders)
    np.testing.assert_array_equal(again.forth.logit_diff, seven.forth.logit_diff)
    other = card(pair.recordings, pair.prompt, MANY, seed=1)
    assert other.orders != seven.orders and other.sufficiency.effect == pytest.approx(
        seven.sufficiency.effect, abs=1e-9
    )


def test_single_scores_of_a_sweep_are_not_run_again(pair, three, monkeypatch):
    singles = sweep(pair.recordings, pair.prompt)
    plans = []
    plain = running.run_plan
    monkeypatch.setattr(running, "run_plan", lambda *given, **more: plans.append(given[2]) or plain(*given, **more))
    found = card(pair.recordings, pair.prompt, SET, singles=singles)
    assert not [row for plan in plans for row in plan if len(row) == 1]
    assert found.complete and found.members == three.members
    np.testing.assert_allclose(found.forth.logit_diff, three.forth.logit_diff, **EXACT)
    assert found.sufficiency.noise_floor > 0
    with pytest.raises(InputError, match="the sweep is of v"):
        card(pair.recordings, pair.prompt, SET, singles=sweep(pair.recordings, pair.prompt, "v"))


def test_without_a_gap_to_share_out_there_are_effects_and_no_scores(pair, three):
    assert three.gap.reason is None
    turned = card(pair.recordings[::-1], pair.prompt, SET)
    assert turned.gap.reason and turned.complete
    table = turned.to_frame()
    assert table["score"].isna().all() and np.isnan(turned.completeness)
    assert table.loc[table["number"] != "completeness", "effect"].notna().all()
    assert turned.curves_frame()["score"].isna().all()
    # Furthest towards the donor, which is down here.
    assert list(turned.by_single) == sorted(SET, key=lambda member: turned.of([member]).effect)


class Cancelled(BaseException):
    """What a worker raises in a job that nobody waits for."""


@pytest.mark.parametrize("calls", [1, 3, 5, 8, 11])
def test_cancelling_leaves_the_bridges_as_they_were(pair, calls):
    left, seen = [calls], []

    def checkpoint():
        left[0] -= 1
        if not left[0]:
            raise Cancelled

    budget = Budget(10**9, 12 * len(pair.prompt.ids))
    with pytest.raises(Cancelled):
        card(
            pair.recordings,
            pair.prompt,
            MANY,
            budget=budget,
            checkpoint=checkpoint,
            progress=lambda *at: seen.append(at),
        )
    for bridge in pair.bridges:
        assert not any(point.has_hooks() for point in bridge.hook_dict.values())
    assert all(not partial.complete for _, _, partial in seen)


def test_what_has_run_so_far_is_shown_and_stays(pair, seven):
    seen = []
    budget = Budget(10**9, 12 * len(pair.prompt.ids))
    last = card(pair.recordings, pair.prompt, MANY, budget=budget, progress=lambda *at: seen.append(at))
    counts = [done for done, _, _ in seen]
    assert counts == sorted(counts) and len(seen) > 3 and all(done <= total for done, total, _ in seen)
    assert counts[-1] == seen[-1][1] and last.complete
    for _, _, partial in seen:
        assert {"number", "score"} <= set(partial.to_frame()) and len(partial.runs_frame()) == partial.total
        assert partial.greedy == last.greedy[: len(partial.greedy)]
        for members, value in zip(partial.forth.members, partial.forth.logit_diff):
            if np.isfinite(value):
                assert value == last.forth.logit_diff[last.forth.members.index(members)]
    assert replace(last).greedy == seven.greedy


@pytest.mark.parametrize(
    "members, site, said",
    [
        ([], "z", "a set without a member patches nothing; name heads, for example L0H0"),
        ([], "v", "name KV groups, for example L0KV0"),
        ([(0, 1), (2, 0)], "z", "there is no L2H0; layers go from 0 to 1, heads from 0 to 3"),
        ([(0, -1)], "z", "there is no L0H-1"),
        ([(1, 2)], "v", "there is no L1KV2; layers go from 0 to 1, KV groups from 0 to 1"),
        ([(1, 0)], "mlp_out", "a set takes heads or KV groups, and mlp_out is neither"),
        ([(1, 0)], "w_layer", "w_layer is neither"),
        ([(1, 0)], "x", "the site 'x' is unknown"),
    ],
)
def test_bad_sets_are_refused_with_the_value_and_the_remedy(pair, members, site, said):
    with pytest.raises(InputError, match=said):
        card(pair.recordings, pair.prompt, members, site)


def test_a_weight_at_one_position_is_refused(pair):
    with pytest.raises(InputError, match="a weight, which acts at all positions"):
        card(pair.recordings, pair.prompt, SET, "w_head", "end")


@pytest.mark.parametrize("site", SET_SITES)
def test_a_card_can_be_made_at_every_site_of_heads_and_groups(pair, site):
    found = card(pair.recordings, pair.prompt, [(0, 1), (1, 0)], site)
    assert found.complete and found.completeness == pytest.approx(1 - found.all_but.effect / found.all.effect)
    assert found.to_frame()["number"].value_counts()["minimality"] == 2
