"""The noise floor: what rounding alone moves, per site and third of the depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.experiment import Experiment
from core.head.patches import patch_head
from core.head.results import ALONE, HEAD_PATCHES, TOGETHER, HeadPatches
from core.models.loading import load_pair
from core.models.pairs import registry
from core.patching import jitter as jitters
from core.patching.floor import ROWS, NoiseFloor, jittered_rows, noise_floor, third_of
from core.patching.gap import Gap
from core.patching.growing_pass import shape_of
from core.patching.jitter import jittered
from core.patching.plan import DONOR, OWN, SITES, Patch, Shape, jitter, position_rows, set_row, sweep_rows
from core.patching.results import Pairs, Sweep
from core.patching.sweeps import patch_pairs, patch_sets, position_map, run_plan, sweep
from core.runs import run

SHAPE = Shape(layers=30, heads=9, groups=3, positions=5)


def tiny_in(dtype: str):
    return run(Experiment(answer="swift", dtype=dtype), load_pair(registry()["tiny"], dtype, "cpu"))


@pytest.fixture(scope="module")
def coarse():
    return tiny_in("bfloat16")


@pytest.fixture(scope="module")
def fine():
    return tiny_in("float32")


def test_the_floor_of_bfloat16_is_thousands_of_times_that_of_float32(coarse, fine):
    """The ratio of their units in the last place is 65,536; both floors are a few such units, amplified alike."""
    for site in ("z", "v", "mlp_out"):
        half, single = (sweep(runs.recordings, runs.prompt, site).gap.floor.thirds for runs in (coarse, fine))
        assert np.isfinite(half).all() and np.isfinite(single).all()
        assert max(single) < 2e-5
        assert min(np.array(half) / single) > 1000 and max(half) > 0.01


@pytest.mark.parametrize("site", SITES)
def test_a_model_patched_with_itself_stays_within_the_floor(coarse, site):
    base, _ = coarse.recordings
    for positions in ("all", "end"):
        found = sweep((base, base), coarse.prompt, site, positions=positions)
        # A head's result is computed and added apart from its layer's: rounding of its own, and so some cells beyond.
        assert found.within_noise.mean() >= (0.8 if site == "result" else 1), np.abs(found.effect).max()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rounding_that_the_floor_has_not_seen_lies_within_it_nearly_always(dtype, fine, coarse):
    runs = coarse if dtype == "bfloat16" else fine
    given, shape = (runs.recordings, runs.prompt), shape_of(runs.recordings[0])
    plan = sweep(*given)
    others = [
        (replace(row[0], source=jitter(100 + n)),) for n in range(10) for row in sweep_rows("z", (), shape)
    ]  # fmt: skip
    effect = run_plan(*given, others, "instruct_to_base", lambda gap, logit_diff, _: gap.effect(logit_diff))
    floor = plan.gap.floor.at([row[0].layer for row in others])
    share = np.mean(np.abs(effect) <= floor)
    # 95% of very many; the floor rests on eight rows a third.
    assert 0.8 <= share < 1


def test_the_floor_is_the_same_every_time(pair_of):
    pair = pair_of()
    once, again = (sweep(pair.recordings, pair.prompt) for _ in range(2))
    assert once.gap.floor.thirds[:2] == again.gap.floor.thirds[:2]
    assert min(once.gap.floor.thirds[:2]) > 0


def test_signs_differ_between_draws_layers_and_sites_and_are_the_same_every_time(pair_of):
    base, _ = pair_of(dtype=torch.bfloat16).recordings
    first = jittered(base, "jitter 0")
    places = [(0, "attn.hook_z"), (1, "attn.hook_z"), (0, "attn.hook_q")]
    for place in places:
        assert torch.equal(first.layer(*place), jittered(base, "jitter 0").layer(*place))
        assert not torch.equal(first.layer(*place), jittered(base, "jitter 1").layer(*place))
    moved = [(first.layer(*place) != base.layer(*place)).flatten() for place in places]
    assert not torch.equal(moved[0], moved[1]) and not torch.equal(moved[0], moved[2])
    # Two thirds of the signs are not zero.
    assert all(0.55 < m.float().mean() < 0.75 for m in moved)


def test_signs_that_are_kept_are_the_ones_drawn_and_a_large_models_are_not_kept():
    small, large = torch.Size((4, 8)), torch.Size((jitters._SMALL + 1,))
    for shape, kept in ((small, 1), (large, 0)):
        jitters._kept.cache_clear()
        first = jitters._signs("of no other test", shape)
        assert torch.equal(first, jitters._signs("of no other test", shape))
        assert torch.equal(first, jitters._drawn("of no other test", shape))
        assert jitters._kept.cache_info().currsize == kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_jittered_number_is_off_by_one_unit_in_the_last_place_at_most_two(pair_of, dtype):
    base, _ = pair_of(dtype=dtype).recordings
    x = base.layer(1, "attn.hook_z")
    relative = ((jittered(base, "jitter 3").layer(1, "attn.hook_z") - x).double() / x.double()).abs()
    eps = torch.finfo(dtype).eps
    assert 0.5 * eps <= relative[relative > 0].min() and relative.max() <= 2 * eps


def test_every_third_has_eight_rows_of_its_own_spread_over_its_layers_and_a_no_op_at_its_lowest():
    rows = sweep_rows("z", (), SHAPE)
    every = jittered_rows(rows, SHAPE.layers)
    assert every == jittered_rows(rows, SHAPE.layers)
    assert [row[0].layer for row in every if row[0].source == OWN] == [0, 10, 20]
    made = [row for row in every if row[0].source != OWN]
    thirds = [third_of(row[0].layer, SHAPE.layers) for row in made]
    assert [thirds.count(n) for n in range(3)] == [ROWS] * 3
    assert len({row[0].layer for row in made}) == 3 * ROWS
    assert all(row[0].source != DONOR for row in made)
    assert {row[0] for row in made}.isdisjoint({row[0] for row in rows})


@pytest.mark.parametrize("rows", [sweep_rows("mlp_out", (4,), Shape(4, 2, 2, 5)), position_rows("resid_pre", SHAPE)])
def test_jittered_rows_write_where_the_plan_writes(rows):
    layers = 1 + max(row[0].layer for row in rows)
    places = {(row[0].layer, row[0].site, row[0].heads, row[0].positions) for row in rows}
    made = jittered_rows(rows, layers)
    assert len(made) >= 3 * ROWS - ROWS and len(set(made)) == len(made)
    assert {(row[0].layer, row[0].site, row[0].heads, row[0].positions) for row in made} <= places


def test_a_set_is_jittered_as_a_whole_and_belongs_to_its_lowest_layer():
    row = set_row([(12, 1), (25, 3)], "z", (), SHAPE)
    made = jittered_rows([row], SHAPE.layers)
    assert len(made) == ROWS + 1 and all(len(each) == 2 for each in made) and len(set(made)) == ROWS + 1
    assert all(len({patch.source for patch in each}) == 1 for each in made)
    floor = noise_floor(made, np.ones(ROWS + 1), SHAPE.layers)
    assert np.isnan(floor.thirds[0]) and floor.thirds[1] == 1 + 1 and np.isnan(floor.thirds[2])


def test_each_third_has_the_95th_percentile_of_its_own_rows():
    rows = [(Patch(layer, "z", (0,)),) for layer in (0, 9, 10, 19, 20, 29)]
    floor = noise_floor(rows, np.array([-1.0, 1.0, 0.25, -0.25, np.nan, 0.125]), 30)
    assert floor.thirds == (1, 0.25, 0.125)
    np.testing.assert_array_equal(floor.at([0, 9, 10, 29]), [1, 1, 0.25, 0.125])
    assert floor.spans() == [("layers 0–9", 1), ("layers 10–19", 0.25), ("layers 20–29", 0.125)]
    assert floor.text() == "1 / 0.25 / 0.12 logits in the first / middle / last third of the depth"
    twenty = noise_floor([rows[0]] * 20, np.arange(20.0), 30)
    assert twenty.thirds[0] == pytest.approx(np.percentile(np.arange(20.0), 95))


def test_what_a_no_op_moves_is_added_and_alone_is_no_floor():
    rows = [(Patch(layer, "z", (0,), source=source),) for layer, source in ((0, "jitter 0"), (0, OWN), (29, OWN))]
    floor = noise_floor(rows, np.array([0.5, -0.25, 0.125]), 30)
    assert floor.thirds[0] == 0.75 and np.isnan(floor.thirds[1:]).all()
    # A row that holds something at its own beside what it jitters is no no-op.
    held = (Patch(0, "k", (0,), source=OWN), *rows[0])
    assert noise_floor([held], np.array([0.5]), 30).thirds[0] == 0.5


def test_a_model_of_few_layers_has_no_third_without_one():
    assert [third_of(layer, 4) for layer in range(4)] == [0, 0, 1, 2]
    floor = NoiseFloor(4, (0.1, 0.2, 0.3))
    assert [name for name, _ in floor.spans()] == ["layers 0–1", "layer 2", "layer 3"]
    assert np.isnan(NoiseFloor().at([0, 3])).all() and NoiseFloor().text() == "not measured yet"


def test_a_cell_is_within_its_own_thirds_floor():
    gap = Gap("instruct_to_base", 1.0, 3.0, floor=NoiseFloor(3, (0.5, 0.25, float("nan"))))
    found = Sweep("z", "all", gap, np.array([[1.5, 0.4], [1.5, 0.9], [1.0, np.nan]]))
    assert found.within_noise.tolist() == [[True, False], [False, True], [False, False]]
    assert list(found.to_frame().noise_floor[:4]) == [0.5, 0.5, 0.25, 0.25]


def test_an_interaction_carries_the_noise_of_three_runs():
    gap = Gap("instruct_to_base", 0.0, 3.0, floor=NoiseFloor(3, (0.5, 0.5, 0.5)))
    for together, within in ((2.8, True), (2.9, False)):
        pair = Pairs("z", "all", ((0, 0), (2, 1)), gap, np.array([[1.0, together], [together, 1.0]]))
        assert pair.interaction_within_noise[0, 1] == within  # √3 · 0.5 = 0.87 beyond 2


def test_every_kind_of_plan_measures_its_floor(coarse):
    given = (coarse.recordings, coarse.prompt)
    layers = shape_of(coarse.recordings[0]).layers
    results = [sweep(*given, "v"), position_map(*given), patch_sets(*given, [[(0, 1), (3, 0)]])]
    results.append(patch_pairs(*given, [(0, 1), (3, 0)]))
    for found in results:
        assert found.gap.floor.layers == layers
        assert np.isfinite(found.noise_floor).all() and (found.noise_floor > 0).all()
        assert found.gap.no_op < found.noise_floor.max()


def test_a_heads_own_patches_share_a_floor_and_its_groups_patches_another(coarse):
    given = (coarse.recordings, coarse.prompt)
    found = patch_head(*given, 2, 5)
    floors = [{found.noise_floor[patch] for patch in patches} for patches in (ALONE, TOGETHER)]
    assert [len(floor) for floor in floors] == [1, 1] and floors[0] != floors[1] and min(found.floors) > 0
    # Of the order of what each patch on its own would say.
    for patch, floor in found.noise_floor.items():
        column = 5 if patch in ALONE else found.group
        assert 1 / 4 < floor / patch_sets(*given, [[(2, column)]], patch).noise_floor[0] < 4


def test_a_heads_effects_are_held_against_the_floor_of_their_own_kind():
    gap = Gap("instruct_to_base", 0.0, 4.0)
    found = HeadPatches(2, 5, 1, (4, 5), gap, np.full(8, 0.3), np.array([0.2] * 4 + [0.4] * 4))
    assert found.within_noise == {patch: patch in TOGETHER for patch in HEAD_PATCHES}
    assert list(found.to_frame()["noise_floor"]) == [0.2] * 4 + [0.4] * 4
