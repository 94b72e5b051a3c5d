"""What is within the noise floor is grey in every figure of patches, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from core.charts import theme
from core.charts.attribution import layer_bars
from core.charts.grid import FAINT_TEXT, Panel
from core.charts.heatmap import head_heatmaps
from core.charts.patching import exact_vs_estimate, layer_position_map, pair_matrix, value_output_scatter
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.results import PositionMap, Sweep

GAP = Gap("instruct_to_base", 0.0, 4.0, floor=NoiseFloor(3, (0.5, 0.25, 0.125)))
EFFECT = np.array([[0.5, -0.6, 0.1], [0.3, -0.25, np.nan], [0.126, 0.124, -0.2]])
WITHIN = [(0, 0), (0, 2), (1, 1), (2, 1)]


def grey_cells(fig) -> list[tuple[int, int]]:
    """Cells of the heatmap in the colour of noise; they have none on the figure's own scale."""
    (grey,) = [t for t in fig.data if t.type == "heatmap" and t.colorscale and t.colorscale[0][1] == theme.FAINT]
    (coloured,) = [t for t in fig.data if t.type == "heatmap" and t.coloraxis]
    cells = [tuple(map(int, cell)) for cell in np.argwhere(np.asarray(grey.z, float) == 1)]
    assert all(coloured.z[cell] is None for cell in cells)
    return cells


@pytest.mark.parametrize("kind", ["heads", "positions"])
def test_a_map_is_grey_exactly_in_the_cells_within_their_own_thirds_floor(kind):
    if kind == "heads":
        found = Sweep("z", "all", GAP, EFFECT)
        fig = head_heatmaps([Panel("t", found.score, found.within_noise)], "t")
    else:
        found = PositionMap("mlp_out", GAP, EFFECT)
        fig = layer_position_map(found.score, ["a", "b", "c"], "t", faint=found.within_noise)
    assert grey_cells(fig) == WITHIN
    (hover,) = [trace.text for trace in fig.data if trace.type == "scatter" and trace.customdata is not None]
    assert [divmod(n, 3) for n, text in enumerate(hover) if FAINT_TEXT in text] == WITHIN


def test_bars_are_grey_exactly_in_the_layers_within_their_floor_and_such_a_layer_is_not_named():
    found = Sweep("mlp_out", "all", GAP, np.array([[0.4], [0.3], [-0.1]]))
    fig = layer_bars({"MLP": found.effect.T}, "t", "logits", series=("exact",), faint=found.within_noise[:, 0])
    assert list(fig.data[0].marker.color) == [theme.FAINT, theme.SERIES[0], theme.FAINT]
    assert [FAINT_TEXT in text for text in fig.data[0].text] == [True, False, True]
    # The longest bar of all is within the floor of its third.
    assert [a.text for a in fig.layout.annotations] == ["L1"]
    assert FAINT_TEXT in [trace.name for trace in fig.data]


def test_estimates_beside_exact_bars_keep_their_colour():
    series = np.array([[0.1, np.nan], [np.nan, 0.2]])
    fig = layer_bars({"MLP": series}, "t", "logits", series=("exact", "estimate"), faint=np.array([True, False]))
    assert list(fig.data[0].marker.color) == [theme.FAINT, theme.SERIES[0]]
    assert set(fig.data[1].marker.color) == {theme.SERIES[1]}


def test_a_scatter_names_only_what_stands_out_of_the_noise():
    value, output = np.arange(8.0).reshape(2, 4), np.zeros((2, 4))
    faint = value > 1.5
    fig = value_output_scatter(value, output, 1, "t", faint=faint)
    assert {a.text for a in fig.layout.annotations} == {"L0H0", "L0H1"}
    (points,) = [trace for trace in fig.data if trace.customdata is not None]
    assert [colour == theme.FAINT for colour in points.marker.color] == faint.ravel().tolist()
    assert [FAINT_TEXT in text for text in points.text] == faint.ravel().tolist()


def test_an_estimate_of_a_cell_within_the_noise_is_a_grey_point():
    exact = np.array([[np.nan, 0.01, 0.4]])
    fig = exact_vs_estimate(exact + 0.1, exact, ["a", "b", "c"], 0.5, faint=np.array([[False, True, False]]))
    (points,) = [trace for trace in fig.data if trace.customdata is not None]
    assert list(points.marker.color) == [theme.FAINT, theme.SERIES[0]]
    assert list(points.marker.symbol) == ["circle-open", "circle"]


def test_an_interaction_within_the_noise_is_grey_and_has_no_number():
    values = np.array([[np.nan, 0.25, 0.01], [0.25, np.nan, 0.5], [0.01, 0.5, np.nan]])
    fig = pair_matrix(values, ["a", "b", "c"], faint=np.abs(values) < 0.1)
    assert grey_cells(fig) == [(0, 2), (2, 0)]
    assert list(fig.data[0].text[0]) == ["", "+0.250", ""]
