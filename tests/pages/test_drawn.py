"""Figures are built once for everybody, and anew when something in them has changed."""

from __future__ import annotations

import json
import threading

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
import streamlit as st

from core.charts.figure import Figure
from core.charts.in_words import in_words
from core.charts.theme import on_page
from pages.shared import drawn as module
from pages.shared.chart_keys import reachable
from pages.shared.drawn import Drawn, drawn

SOON = 5.0
built: list[tuple] = []
kind: list[type[go.Figure]] = []


@pytest.fixture(autouse=True, params=[go.Figure, Figure])
def nothing_kept(request):
    """For figures of both kinds."""
    kind[:] = [request.param]
    built.clear()
    module._kept.clear()


def chart(values: np.ndarray, name: str, span: tuple[float, float] = (0.0, 1.0)) -> go.Figure:
    built.append((name, span))
    heatmap = go.Heatmap(z=values.tolist(), coloraxis="coloraxis", hoverinfo="skip")
    cells = go.Scatter(x=[0, 1], y=[0, 0], text=["a", "b"], customdata=[[0, 0], [0, 1]], marker={"symbol": "square"})
    scale = {"coloraxis": {"cmin": -1, "cmax": 1, "colorscale": "RdBu"}}
    traces = [heatmap.to_plotly_json(), cells.to_plotly_json()]
    return kind[0](traces, {"title": {"text": name}, **scale})


def test_one_result_with_the_same_options_is_built_once_and_others_are_built():
    result = np.eye(2)
    one = drawn(chart, result, "map", (0.0, 1.0))
    assert drawn(chart, result, "map", (0.0, 1.0)) is one and len(built) == 1
    assert drawn(chart, result.copy(), "map", (0.0, 1.0)) is not one
    assert drawn(chart, result, "map", (0.0, 2.0)) is not one
    assert drawn(chart, result, "another") is not one
    assert len(built) == 4


def test_of_many_who_ask_at_once_one_builds():
    result, together, found = np.eye(2), threading.Barrier(8), []

    def ask() -> None:
        together.wait(SOON)
        found.append(drawn(chart, result, "map"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert len(set(map(id, found))) == len(built) == 1 and len(found) == 8


def test_figures_and_their_results_are_kept_within_a_bound():
    for n in range(2 * module.MOST):
        drawn(chart, np.full((1, 2), n), "map")
    assert len(module._kept) == module.MOST


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("keys", [False, True])
def test_a_browser_gets_the_figure_itself_in_its_theme(dark, keys):
    one = drawn(chart, np.eye(2), "map")
    one.sent(not dark, not keys)
    fig = chart(np.eye(2), "map")
    if keys:
        fig = reachable(fig, in_words(fig).partition(".")[0])
    expected = json.loads(plotly.io.to_json(on_page(fig, dark)))
    sent = json.loads(plotly.io.to_json(one.sent(dark, keys)))
    assert sent == expected
    assert one.alt() == in_words(fig)


def test_with_shapes_it_is_the_same_figure_and_the_one_without_them_stays():
    one, shapes = drawn(chart, np.eye(2), "map"), [{"type": "rect", "x0": 0, "x1": 1}]
    bare = one.sent(True, True).to_dict()
    framed = one.shaped(shapes)
    fig = framed.sent(True, True).to_dict()
    assert fig == {**bare, "layout": {**bare["layout"], "shapes": shapes}} and framed.alt() == one.alt()
    assert one.sent(True, True).to_dict() == bare and "shapes" not in bare["layout"]
    assert len(built) == 1


def test_streamlit_takes_it_as_it_takes_a_figure():
    st.plotly_chart(Drawn(chart(np.eye(2), "map")).sent(False, False))
