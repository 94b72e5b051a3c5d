"""The figure of one head's controls, from hand-made numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.charts.controls import control_bars
from core.charts.in_words import in_words
from tests.core.test_head_controls import GAP, controls

NAMES = ("INSTRUCT → BASE", "BASE → INSTRUCT")


def bars(fig) -> list[list[float]]:
    return [list(trace.y) for trace in fig.data if trace.type == "bar" and len(trace.x) == 4]


def shapes(fig, wide: bool) -> list:
    return [shape for shape in fig.layout.shapes if (shape.x1 - shape.x0 > 2) == wide]


def test_a_panel_a_direction_has_four_bars_in_shares_of_the_gap():
    back = replace(GAP, direction="base_to_instruct", recipient=2.0, donor=-2.0)
    fig = control_bars((controls(1.0, 0.4), controls(-1.0, -2.0, gap=back)), NAMES, "title")
    there, again = bars(fig)
    assert there == pytest.approx([0.25, 0.225, -0.15, 0.1]) and again == pytest.approx([0.25, 0.225, 0.25, 0.5])
    assert fig.layout.yaxis.title.text == "share of the gap"
    assert {annotation.text for annotation in fig.layout.annotations} >= {*NAMES, "+0.25", "−0.15", "+0.50"}


def test_the_range_of_the_draws_lies_behind_the_total_and_the_noise_floor_around_zero():
    fig = control_bars((controls(1.0, 0.4),), NAMES[:1], "title")
    band, floor = shapes(fig, wide=False)[0], shapes(fig, wide=True)[0]
    assert (band.y0, band.y1) == pytest.approx((-0.125, 0.25)) and band.x0 < 3 < band.x1 and band.layer == "below"
    assert (floor.y0, floor.y1) == pytest.approx((-0.025, 0.025))
    draws = next(trace for trace in fig.data if trace.type == "scatter")
    assert list(draws.y) == pytest.approx([-0.125, 0.05, 0.25])
    low, high = fig.layout.yaxis.range
    assert low < -0.15 and high > 0.25
    assert {"3 random changes", "noise floor"} <= {trace.name for trace in fig.data}


def test_without_scores_the_bars_are_logits_and_what_hovering_says_is_the_text_alternative():
    fig = control_bars((controls(1.0, 0.4, gap=replace(GAP, donor=-1.8)),), NAMES[:1], "L1H3")
    assert bars(fig)[0] == pytest.approx([1.0, 0.9, -0.6, 0.4])
    assert fig.layout.yaxis.title.text == "logits"
    assert "direct: +1.000 logits" in in_words(fig).replace(", +", ": +")
