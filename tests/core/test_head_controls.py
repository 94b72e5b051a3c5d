"""One head's controls: the same numbers as the sweep and the plain null, and what is named of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.head.control_results import HeadControls
from core.head.controls import control_head
from core.patching.control_results import Direct, Effects, Null, is_repaired, is_reversed
from core.patching.direct import direct_effects
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.null import null
from core.patching.plan import DIRECTIONS
from core.patching.results import Sweep
from core.patching.sweeps import sweep

GAP = Gap("instruct_to_base", -2.0, 2.0, floor=NoiseFloor(2, (0.1, 0.1, 0.1)))


def controls(frozen: float, total: float, draws=(-0.5, 0.2, 1.0), gap: Gap = GAP) -> HeadControls:
    values = gap.recipient + np.array([total, *draws])
    return HeadControls(1, 3, frozen, 0.9 * frozen, Null("all", (((1, 3),),), gap, values[:1], values[None, 1:]))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_total_is_the_sweeps_and_the_parts_add_up_to_it(pair_of, direction):
    pair = pair_of("qwen2", 2, torch.float64)
    found = control_head(pair.recordings, pair.prompt, 0, 2, direction)
    swept = sweep(pair.recordings, pair.prompt, "z", direction)
    direct = direct_effects(pair.recordings, pair.prompt, "z", direction)
    assert found.total == pytest.approx(swept.effect[0, 2], abs=1e-10)
    assert (found.frozen, found.recomputed) == (direct.frozen[0, 2], direct.recomputed[0, 2])
    assert found.frozen + found.indirect == found.total
    expected = null(pair.recordings, pair.prompt, [[(0, 2)]], direction)
    np.testing.assert_allclose(found.null.logit_diff, expected.logit_diff, rtol=0, atol=1e-12)
    assert found.of_gap(found.total) == pytest.approx(swept.score[0, 2], nan_ok=True, abs=1e-9)


def test_self_repair_is_named_where_later_components_take_back_more_than_half():
    assert controls(1.0, 0.4).repaired and controls(-1.0, -0.4).repaired
    assert not controls(1.0, 0.6).repaired and not controls(1.0, 1.4).repaired
    # Nothing is left of it, as far as rounding lets one see.
    assert controls(1.0, -0.05).repaired and not controls(1.0, -0.05).reversed
    # No direct effect to be repaired.
    assert not controls(0.08, 0.01).repaired


def test_another_sign_beyond_the_floor_is_no_repair_but_a_reversal():
    assert controls(1.0, -0.2).reversed and not controls(1.0, -0.2).repaired
    assert not controls(1.0, 0.2).reversed and not controls(0.05, -1.0).reversed


def test_a_total_within_the_draws_or_the_floor_is_told_apart_from_one_beyond():
    assert controls(1.0, 0.9).within_null and controls(1.0, -0.5).within_null
    assert not controls(1.0, 1.1).within_null and not controls(1.0, -0.6).within_null
    assert controls(1.0, 0.05).within_noise and not controls(1.0, 0.15).within_noise


def test_the_table_has_the_parts_and_every_draw():
    table = controls(1.0, 0.4).to_frame()
    assert list(table["what"]) == ["direct", "direct_recomputed", "indirect", "total", *["null"] * 3]
    assert table["effect"].tolist() == pytest.approx([1.0, 0.9, -0.6, 0.4, -0.5, 0.2, 1.0])
    np.testing.assert_allclose(table["score"], table["effect"] / 4)
    assert table["draw"].isna().sum() == 4


def test_what_has_not_run_is_neither_repaired_nor_reversed_and_a_gap_too_small_has_no_scores():
    swept = Sweep("z", "all", replace(GAP, donor=-1.8), np.array([[np.nan, -1.6], [-2.5, -2.0]]))
    direct = Direct("z", "all", swept.gap, np.array([[1.0, 1.0], [1.0, 1e-9]]), np.zeros((2, 2)))
    found = Effects(direct, swept)
    assert found.repaired.tolist() == [[False, True], [False, False]]
    assert found.reversed.tolist() == [[False, False], [True, False]]
    assert found.within_noise.tolist() == [[False, False], [False, True]]
    table = found.to_frame()
    assert table["total_score"].isna().all() and table["indirect"].tolist()[1:] == pytest.approx([-0.6, -1.5, -1e-9])
    assert list(table.columns[:4]) == ["direction", "site", "layer", "head"]
    assert table["self_repaired"].sum() == table["reversed"].sum() == 1


def test_a_floor_that_is_not_known_hides_nothing():
    effects = np.array(1.0), np.array(0.2), np.array(np.nan)
    assert is_repaired(*effects) and not is_reversed(*effects)
