"""Maps of heads: what they promise about scales, clicks and cells, on synthetic numbers."""

import numpy as np
import pytest

from core.charts.grid import Panel
from core.charts.heatmap import head_heatmaps, model_panels
from tests.core.figures import click_layers, values

SIZES = [(1, 1), (2, 4), (4, 8), (48, 40)]


def colour_traces(fig):
    return [trace for trace in fig.data if trace.type == "heatmap" and trace.coloraxis]


@pytest.mark.parametrize("shape", SIZES)
def test_every_cell_of_every_panel_is_clickable_once_and_carries_its_layer_and_head(shape):
    layers, heads = shape
    fig = head_heatmaps(model_panels(values(*shape)), title="t")
    every = [[layer, head] for layer in range(layers) for head in range(heads)]
    clicks = click_layers(fig)
    assert len(clicks) == 3
    for trace in clicks:
        assert sorted(list(c) for c in trace.customdata) == every
        assert [[y, x] for x, y in zip(trace.x, trace.y)] == [list(c) for c in trace.customdata]
        assert trace.selected.marker.opacity == trace.unselected.marker.opacity == trace.marker.opacity == 0
    assert all(trace.hoverinfo == "skip" for trace in fig.data if trace.type == "heatmap")


@pytest.mark.parametrize("shape", SIZES)
def test_panels_share_one_scale_symmetric_around_zero_that_holds_every_value(shape):
    v = values(*shape)
    fig = head_heatmaps(model_panels(v), title="t")
    axis = fig.layout.coloraxis
    assert {trace.coloraxis for trace in colour_traces(fig)} == {"coloraxis"}
    assert axis.cmin == -axis.cmax
    assert axis.cmax == pytest.approx(max(np.abs(v).max(), np.abs(v[1] - v[0]).max()))
    assert axis.colorscale[len(axis.colorscale) // 2][0] == 0.5


def test_the_sequential_scale_starts_at_zero():
    fig = head_heatmaps([Panel("BASE", np.array([[0.2, 0.6]]))], title="t", scale="sequential")
    assert (fig.layout.coloraxis.cmin, fig.layout.coloraxis.cmax) == (0, 0.6)


def test_a_run_compared_with_itself_shows_a_difference_of_zero_in_every_cell():
    v = values(3, 5)[0]
    fig = head_heatmaps(model_panels(np.stack([v, v])), title="t")
    base, instruct, difference = (np.array(trace.z, float) for trace in colour_traces(fig))
    assert np.array_equal(base, v) and np.array_equal(instruct, v)
    assert not difference.any()


def test_all_zeros_still_have_a_scale():
    axis = head_heatmaps(model_panels(np.zeros((2, 2, 2))), title="t").layout.coloraxis
    assert axis.cmin < 0 < axis.cmax


def test_layers_count_downwards_and_axes_end_at_the_cells_edges():
    fig = head_heatmaps(model_panels(values(4, 8)), title="t")
    for axis in (fig.layout.yaxis, fig.layout.yaxis2, fig.layout.yaxis3):
        assert tuple(axis.range) == (3.5, -0.5)
    for axis in (fig.layout.xaxis, fig.layout.xaxis2, fig.layout.xaxis3):
        assert tuple(axis.range) == (-0.5, 7.5)


def test_cells_not_yet_computed_have_no_colour_and_say_so_but_can_be_clicked():
    v = np.array([[np.nan, 0.25], [1.0, np.nan]])
    fig = head_heatmaps([Panel("INSTRUCT → BASE", v)], title="t", unit="patch score")
    assert [list(row) for row in colour_traces(fig)[0].z] == [[None, 0.25], [1.0, None]]
    (click,) = click_layers(fig)
    assert ["not yet computed" in text for text in click.text] == [True, False, False, True]
    assert "not yet computed" in {trace.name for trace in fig.data} and fig.layout.showlegend
    assert "NaN" not in fig.to_json()


def test_a_figure_with_nothing_computed_can_be_drawn():
    fig = head_heatmaps(model_panels(np.full((2, 3, 3), np.nan)), title="t")
    assert len(click_layers(fig)) == 3 and fig.layout.coloraxis.cmax == 1


def test_noise_is_grey_and_estimates_are_marked_and_both_are_told_on_hovering():
    v, faint, estimated = np.array([[0.01, 0.5]]), np.array([[True, False]]), np.array([[False, True]])
    fig = head_heatmaps([Panel("score", v, faint, estimated)], title="t")
    assert list(colour_traces(fig)[0].z[0]) == [None, 0.5]
    first, second = click_layers(fig)[0].text
    assert "+0.010" in first and "within the noise floor" in first and "estimate" not in first
    assert "estimate" in second and "noise" not in second
    assert {"within the noise floor", "estimate"} <= {trace.name for trace in fig.data}


def test_the_chosen_head_is_outlined_in_every_panel():
    fig = head_heatmaps(model_panels(values(4, 8)), title="t", chosen=(3, 5))
    boxes = [s for s in fig.layout.shapes if (s.x0, s.x1, s.y0, s.y1) == (4.5, 5.5, 2.5, 3.5)]
    assert {box.xref for box in boxes} == {"x", "x2", "x3"}


def test_hovering_names_the_head_and_its_value_in_each_model_with_the_unit():
    v = np.array([[[0.5, -1.0]], [[2.0, 1.0]]])
    text = click_layers(head_heatmaps(model_panels(v), title="t"))[0].text[1]
    assert text == "<b>L0H1</b><br>BASE: −1.000 logits<br>INSTRUCT: +1.000 logits<br>INSTRUCT − BASE: +2.000 logits"


def test_columns_of_a_value_patch_are_named_as_groups_with_the_heads_they_serve():
    notes = [["heads 0–3", "heads 4–7"]]
    fig = head_heatmaps([Panel("v", np.zeros((1, 2)))], title="t", columns="KV group", notes=notes)
    assert "L0KV1" in click_layers(fig)[0].text[1] and "heads 4–7" in click_layers(fig)[0].text[1]
