"""Figures of what was changed against what is carried, from hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest

from core.charts.origin import boundary_curves, origin_panels, origin_scatter
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.results import Sweep

GAP = Gap("instruct_to_base", 0.0, 4.0, floor=NoiseFloor(2, (0.1, 0.1, 0.1)))


def sweep(values, site: str = "z") -> Sweep:
    return Sweep(site, "all", GAP, np.array(values, float))


def test_the_third_map_is_the_difference_and_grey_where_rounding_may_be_all_of_it():
    changed, patched = sweep([[1.0, 0.05], [np.nan, 0.0]], "w_head"), sweep([[1.12, 2.0], [1.0, np.nan]])
    weights, outputs, rest = origin_panels(changed, patched, in_logits=False)
    np.testing.assert_allclose(rest.values, outputs.values - weights.values)
    assert np.isnan(rest.values[1]).all() and rest.values[0, 1] == pytest.approx(1.95 / 4)
    assert weights.faint.tolist() == [[False, True], [False, True]]
    # 0.12 is within the noise of both runs together.
    assert rest.faint[0].tolist() == [True, False]
    assert origin_panels(changed, patched, in_logits=True)[0].values[0, 0] == 1.0


def named(fig) -> list[str]:
    return [annotation.text for annotation in fig.layout.annotations]


def test_what_stands_out_is_named_and_noise_is_not():
    x, y = np.array([[0.1, 0.9], [0.0, np.nan]]), np.array([[0.0, 0.1], [0.5, 0.2]])
    fig = origin_scatter(x, y, list("abcd"), "title", ("carried", "changed"), True, faint=np.array([[True, False]] * 2))
    assert named(fig)[0] == "b" and not {"a", "c", "d"} & set(named(fig))
    assert [list(place) for place in fig.data[0].customdata] == [[0, 0], [0, 1], [1, 0]]
    assert list(fig.layout.xaxis.range) == list(fig.layout.yaxis.range)


def test_a_large_change_without_effect_and_a_small_one_with_effect_both_stand_out():
    sizes, effects = np.full(30, 0.5), np.zeros(30)
    sizes[3], effects[4], sizes[4] = 2.0, 0.4, 0.4
    fig = origin_scatter(sizes, effects, [str(n) for n in range(30)], "title", ("size", "effect"), False)
    assert set(named(fig)[:2]) == {"3", "4"}


def test_curves_have_gaps_where_nothing_has_run():
    curves = {"below": np.array([0.0, np.nan, 1.0]), "<from>": np.array([1.0, 0.5, 0.0])}
    fig = boundary_curves(curves, "title", "share", total=1.0)
    assert list(fig.data[0].y) == [0.0, None, 1.0] and fig.data[1].name == "&lt;from&gt;"
    assert "boundary before layer 2" in fig.data[0].text[2]
