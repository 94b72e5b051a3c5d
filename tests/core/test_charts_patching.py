"""Figures of patching, on synthetic numbers."""

import numpy as np
import pytest

from core.charts import theme
from core.charts.labels import width_em
from core.charts.patching import (
    exact_vs_estimate,
    layer_position_map,
    pair_matrix,
    recovery_curve,
    value_output_scatter,
)
from core.charts.placing import name_points
from tests.core.figures import click_layers


def test_scatter_points_carry_their_head_and_lie_at_value_and_output():
    rng = np.random.default_rng(1)
    value, output = rng.standard_normal((2, 3, 8))
    value[0, 2] = np.nan
    (points,) = click_layers(value_output_scatter(value, output, 4, "t"))
    assert len(points.customdata) == 23 and [0, 2] not in [list(c) for c in points.customdata]
    for x, y, (layer, head) in zip(points.x, points.y, points.customdata):
        assert (x, y) == (value[layer, head], output[layer, head])
    assert points.unselected.marker.opacity == points.marker.opacity


def lines_of(fig):
    """The drawn lines, cut at their gaps, each as its points."""
    (trace,) = [trace for trace in fig.data if trace.mode == "lines"]
    runs, run = [], []
    for point in zip(trace.x, trace.y):
        if None in point:
            runs, run = [*runs, run], []
        else:
            run.append(point)
    return [r for r in runs if r]


def test_lines_join_the_members_of_one_group_and_no_others():
    value, output = np.arange(8.0).reshape(1, 8), -np.arange(8.0).reshape(1, 8)
    fig = value_output_scatter(value, output, 4, "t")
    assert lines_of(fig) == [[(float(h), -float(h)) for h in heads] for heads in (range(4), range(4, 8))]


def test_in_a_model_of_many_groups_only_those_of_named_heads_are_joined():
    value = np.full((32, 32), 0.001)
    value[5, 6] = value[7, 30] = 1.0
    value[2, 1] = value[2, 2] = value[2, 3] = value[2, 0] = 0.5
    fig = value_output_scatter(value, value, 4, "t", chosen=(9, 0))
    assert len(lines_of(fig)) == 4
    assert {"L5H6", "L7H30"} <= {a.text for a in fig.layout.annotations}


def test_scatters_of_nothing_yet_can_be_drawn():
    nothing = np.full((2, 4), np.nan)
    value_output_scatter(nothing, nothing, 2, "t", chosen=(0, 0))
    exact_vs_estimate(nothing, nothing, [""] * 8, float("nan"))


def test_estimate_and_exact_share_one_range_and_leave_out_what_has_not_run():
    estimate, exact = np.array([[0.1, 0.2]]), np.array([[np.nan, 0.4]])
    fig = exact_vs_estimate(estimate, exact, ["a", "b"], 0.9)
    (points,) = click_layers(fig)
    assert (list(points.x), list(points.y), list(points.customdata[0])) == ([0.2], [0.4], [0, 1])
    assert "<b>b</b>" in points.text[0]
    assert fig.layout.xaxis.range == fig.layout.yaxis.range


def test_names_do_not_cover_each_other():
    type_ = theme.SIZES["normal"]
    names = name_points([(0.5, 0.5, f"L13H{h}") for h in range(20, 28)], (1.0, 1.0), 380, type_)
    centres = [(name["ax"], name["ay"]) for name in names]
    wide, tall = 6 * 0.5 * type_.tick, type_.tick
    for n, (x, y) in enumerate(centres):
        for other_x, other_y in centres[:n]:
            assert abs(x - other_x) > wide or abs(y - other_y) > tall


def test_a_name_keeps_off_other_points_and_within_the_plot():
    type_ = theme.SIZES["normal"]
    # In the upper right corner, with another point where the name would stand first that still fits.
    points, near = [(0.99, 0.99, "L2H6")], [(0.93, 0.945)]
    marks = [(0.99, 0.99), *near]
    (name,) = name_points(points, (1.0, 1.0), 400, type_, width=400, marks=marks, origin=(0.0, 0.0))
    wide, tall = width_em("L2H6") * type_.tick, 1.25 * type_.tick
    x, y = 396 + name["ax"], 396 - name["ay"]
    assert x + wide / 2 <= 400 and y + tall / 2 <= 400
    assert abs(x - 372) >= wide / 2 + 4 or abs(y - 378) >= tall / 2 + 4


def test_pairs_have_their_number_in_the_cell_and_none_on_the_diagonal():
    fig = pair_matrix(np.array([[9.0, 0.25], [0.25, 9.0]]), ["L1H0", "L2H1"])
    assert [list(row) for row in fig.data[0].text] == [["", "+0.250"], ["+0.250", ""]]
    assert fig.layout.coloraxis.cmax == 0.25


def test_the_recovery_curve_starts_at_nothing_and_names_each_member_added():
    fig = recovery_curve(np.array([0.2, 0.6]), ["L1KV0", "L2KV1"], total=1)
    assert list(fig.data[0].y) == [0.0, 0.2, 0.6]
    assert list(fig.layout.xaxis.ticktext) == ["none", "+ L1KV0", "+ L2KV1"]
    # Members may be KV groups.
    assert "head" not in fig.layout.xaxis.title.text + "".join(fig.data[0].text)


@pytest.mark.parametrize("count", [2, 60, 300])
def test_repeated_tokens_keep_their_own_positions_and_roles_keep_their_labels(count):
    fig = layer_position_map(np.zeros((2, count)), [" The"] * count, "t", roles={"end": count - 1, "colon": None})
    ticks = dict(zip(fig.layout.xaxis.tickvals, fig.layout.xaxis.ticktext))
    assert ticks[count - 1] == "<b>The</b>" and len(ticks) <= 70
    (click,) = click_layers(fig)
    assert list(click.customdata[-1]) == [1, count - 1] and "(END)" in click.text[-1]
    if count == 60:
        assert len(ticks) == 60
