"""Plans and results as values: no model runs here."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from core.experiment import InputError
from core.patching.gap import Gap
from core.patching.measures import MEASURES
from core.patching.plan import (
    LAYER_SITES,
    SITES,
    Patch,
    Shape,
    checked,
    pair_rows,
    position_rows,
    positions_of,
    set_row,
    sweep_rows,
)
from core.patching.results import Agreement, Estimate, Greedy, Pairs, PositionMap, Sets, Sweep, agreement

SHAPE = Shape(layers=2, heads=4, groups=2, positions=5)
COLUMNS = ["direction", "site", "layer", "head", "logit_diff", "effect", "score", "noise_floor", *MEASURES]
GAP = Gap("instruct_to_base", recipient=-1.0, donor=3.0)


def test_plans_and_results_do_not_import_torch():
    code = "import sys, core.patching.results; sys.exit(any(m in sys.modules for m in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_query_heads_share_a_group_as_keys_and_values_are_repeated():
    assert [list(SHAPE.heads_of(group)) for group in range(2)] == [[0, 1], [2, 3]]
    assert [SHAPE.group_of(head) for head in range(4)] == [0, 0, 1, 1]


def test_a_sweep_has_a_row_for_each_head_group_or_layer():
    assert {site: len(sweep_rows(site, (), SHAPE)) // 2 for site in SITES} == {
        "z": 4, "value_only": 4, "pattern_only": 4, "result": 4, "q": 4, "pattern": 4, "v": 2, "k": 2,
        "attn_out": 1, "mlp_out": 1, "resid_pre": 1, "resid_mid": 1,
        "joint_z": 2, "joint_value_only": 2, "joint_pattern_only": 2,
    }  # fmt: skip
    assert sweep_rows("joint_z", (4,), SHAPE)[1] == (Patch(0, "z", (2, 3), (4,)),)


def test_a_position_map_has_a_row_for_each_layer_and_position():
    rows = position_rows("mlp_out", SHAPE)
    assert len(rows) == 10 and rows[7] == (Patch(1, "mlp_out", (), (2,)),)
    with pytest.raises(InputError, match="layer's site"):
        position_rows("z", SHAPE)


def test_a_row_is_the_same_whatever_the_order_of_its_members():
    members = [(1, 2), (0, 3), (1, 0)]
    assert set_row(members, "z", (), SHAPE) == set_row(members[::-1], "z", (), SHAPE)
    assert set_row(members + members[:1], "z", (), SHAPE) == set_row(members, "z", (), SHAPE)


def test_pairs_come_after_the_members_alone():
    rows = pair_rows([(0, 1), (1, 1), (0, 2)], "z", (), SHAPE)
    assert [len(row) for row in rows] == [1, 1, 1, 2, 2, 2]


def test_positions_are_all_the_last_or_one():
    assert [positions_of(p, SHAPE) for p in ("all", "end", 3, "2")] == [(), (4,), (3,), (2,)]


@pytest.mark.parametrize(
    "make, field",
    [
        (lambda: positions_of(5, SHAPE), "positions"),
        (lambda: positions_of(-1, SHAPE), "positions"),
        (lambda: positions_of("start", SHAPE), "positions"),
        (lambda: positions_of("²", SHAPE), "positions"),
        (lambda: sweep_rows("zz", (), SHAPE), "site"),
        (lambda: sweep_rows("resid_mid", (), Shape(2, 4, 2, 5, parallel=True)), "site"),
        (lambda: set_row([(2, 0)], "z", (), SHAPE), "heads"),
        (lambda: set_row([(0, 4)], "z", (), SHAPE), "heads"),
        (lambda: set_row([(0, 2)], "v", (), SHAPE), "heads"),
        (lambda: set_row([(-1, 0)], "z", (), SHAPE), "heads"),
        (lambda: set_row([], "z", (), SHAPE), "heads"),
        (lambda: checked([(Patch(0, "z"),)], SHAPE), "heads"),
        (lambda: checked([(Patch(0, "mlp_out", (1,)),)], SHAPE), "heads"),
        (lambda: checked([(Patch(0, "z", (1,), (5,)),)], SHAPE), "positions"),
        (lambda: checked([(Patch(0, "joint_z", (1,)),)], SHAPE), "site"),
        (lambda: checked([(Patch(0, "z", (1,)), Patch(0, "value_only", (0, 1), (2,)))], SHAPE), "heads"),
    ],
)
def test_a_plan_that_cannot_run_is_refused_at_its_input(make, field):
    with pytest.raises(InputError) as error:
        make()
    assert error.value.field == field


def test_one_head_may_take_different_counterfactuals_at_different_positions():
    checked([(Patch(0, "z", (1,), (0,)), Patch(0, "value_only", (1,), (2,)))], SHAPE)


def test_effect_and_score_by_hand():
    found = Sweep("z", "all", GAP, np.array([[-1.0, 3.0], [1.0, -3.0]]))
    np.testing.assert_array_equal(found.effect, [[0, 4], [2, -2]])
    np.testing.assert_array_equal(found.score, [[0, 1], [0.5, -0.5]])
    assert GAP.size == 4 and GAP.reason is None
    assert found.top() == [(0, 1), (1, 0), (0, 0), (1, 1)] and found.top(1) == [(0, 1)]
    assert found.furthest() == [(0, 1), (1, 0), (1, 1), (0, 0)] and found.furthest(3)[-1] == (1, 1)


def test_the_mirror_counts_its_gap_downwards():
    mirror = Gap("base_to_instruct", recipient=3.0, donor=-1.0)
    found = Sweep("z", "all", mirror, np.array([[3.0, -1.0, 4.0]]))
    np.testing.assert_array_equal(found.score, [[0, 1, -0.25]])
    assert mirror.size == 4 and found.top(1) == [(0, 1)]


@pytest.mark.parametrize("base, instruct, word", [(1.0, 1.4, "smaller"), (2.0, 1.0, "negative"), (0.0, 0.0, "smaller")])
@pytest.mark.parametrize("direction", ["instruct_to_base", "base_to_instruct"])
def test_without_a_gap_there_are_effects_but_no_scores_and_a_reason(base, instruct, word, direction):
    recipient, donor = (base, instruct) if direction == "instruct_to_base" else (instruct, base)
    gap = Gap(direction, recipient, donor)
    found = Sweep("z", "all", gap, np.array([[5.0, 6.0]]))
    assert word in gap.reason
    assert np.isnan(found.score).all()
    np.testing.assert_array_equal(found.effect, [[5 - recipient, 6 - recipient]])


@pytest.mark.parametrize("site", SITES)
def test_a_sweeps_table_has_the_columns_of_the_patching_table(site):
    width = SHAPE.width(site)
    frame = Sweep(site, "all", GAP, np.arange(2.0 * width).reshape(2, width)).to_frame()
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 2 * width and set(frame.site) == {site} and list(frame.layer.unique()) == [0, 1]
    assert frame["head"].isna().all() if site in LAYER_SITES else list(frame["head"][:width]) == list(range(width))
    np.testing.assert_array_equal(frame.effect, frame.logit_diff + 1)


def test_cells_that_have_not_run_are_absent_everywhere():
    found = Sweep("z", "all", GAP, np.array([[np.nan, np.nan], [1.0, 0.0]]))
    assert (found.done, found.total, found.complete) == (2, 4, False)
    assert found.top() == [(1, 0), (1, 1)]
    assert found.to_frame().score.isna().sum() == 2


def test_names_say_head_group_or_layer():
    grid = np.zeros((2, 2))
    assert [Sweep(site, "all", GAP, grid).name(1, 0) for site in ("z", "v", "joint_z", "mlp_out")] == [
        "L1H0", "L1KV0", "L1KV0", "L1",
    ]  # fmt: skip


def test_interaction_is_what_two_heads_do_beyond_their_sum():
    matrix = np.array([[0.0, 3.0], [3.0, 1.0]])  # alone +1 and +2, together +4
    found = Pairs("z", "all", ((0, 1), (1, 0)), GAP, matrix)
    assert found.interaction[0, 1] == 1 and found.score_interaction[0, 1] == 0.25
    assert np.isnan(np.diag(found.interaction)).all()
    frame = found.to_frame()
    assert list(zip(frame.a, frame.b)) == [("L0H1", "L0H1"), ("L0H1", "L1H0"), ("L1H0", "L1H0")]


def test_other_tables_name_their_rows():
    grid = PositionMap("mlp_out", GAP, np.arange(6.0).reshape(2, 3)).to_frame()
    assert list(grid.position) == [0, 1, 2, 0, 1, 2] and list(grid.layer) == [0, 0, 0, 1, 1, 1]
    sets = Sets("v", "all", (((0, 1), (1, 0)),), GAP, np.array([3.0])).to_frame()
    assert sets.set[0] == "L0KV1 + L1KV0" and sets["size"][0] == 2 and sets.score[0] == 1
    curve = Greedy("z", "all", ((1, 3), (0, 0)), GAP, np.array([1.0, 3.0]), candidates=8, steps=3)
    assert not curve.complete
    assert list(curve.to_frame().added) == ["L1H3", "L0H0"] and list(curve.to_frame().score) == [0.5, 1]


def test_agreement_ranks_only_what_has_run():
    exact = Sweep("z", "all", GAP, np.array([[np.nan, 0.0], [1.0, 2.0]]))
    same, opposite = (Estimate("z", GAP, sign * np.array([[9.0, 1.0], [2.0, 50.0]])) for sign in (1, -1))
    # Effects 1, 2 and 3.
    assert agreement(same, exact, 2) == Agreement(pytest.approx(1), 3, 2, 2, pytest.approx((2 + 50) / (2 + 3)))
    missed = Estimate("z", GAP, np.array([[9.0, -40.0], [2.0, 50.0]]))
    assert (agreement(missed, exact, 2).overlap, agreement(missed, exact).most) == (1, 3)
    assert agreement(opposite, exact).correlation == pytest.approx(-1)
    too_few = Sweep("z", "all", GAP, np.array([[np.nan, np.nan], [1.0, 2.0]]))
    assert np.isnan(agreement(same, too_few).correlation)


def test_in_agreement_equal_values_share_their_ranks():
    exact = Sweep("z", "all", GAP, np.array([[1.0, 2.0], [3.0, 4.0]]))
    tied = Estimate("z", GAP, np.array([[1.0, 7.0], [7.0, 9.0]]))
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / √(4.5 · 5).
    assert agreement(tied, exact).correlation == pytest.approx(0.9**0.5)


def test_an_estimate_keeps_its_effects_as_a_sweep():
    estimate = Estimate("z", GAP, np.array([[2.0, -4.0]]))
    np.testing.assert_array_equal(estimate.score, [[0.5, -1]])
    np.testing.assert_allclose(estimate.as_sweep().effect, estimate.effect)
