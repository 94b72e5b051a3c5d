"""Figures of a circuit card: what they draw is what the card says."""

from __future__ import annotations

import numpy as np
import pytest

from core.charts.card import card_bars, minimality_bars, recovery_curves
from core.charts.in_words import in_words
from tests.core.test_card_words import A, B, C, full, made


def test_bars_are_the_cards_numbers_and_the_band_is_the_range_of_the_random_sets():
    fig = card_bars(made(full()))
    assert list(fig.layout.xaxis.ticktext) == ["F(S)", "N(S)", "all but S", "all", "changed", "carried"]
    np.testing.assert_allclose(fig.data[0].y, [0.6, 0.3, 0.8, 1, 0.1, 0.5])
    band = fig.layout.shapes[0]
    assert (band.y0, band.y1) == pytest.approx((0.05, 0.1)) and band.layer == "below"
    assert in_words(fig).startswith(
        "What the set moves, and random sets (band). Largest: all, all heads, into BASE, +1.000"
    )


def test_effects_of_both_ways_count_towards_the_donor():
    fig = card_bars(made(full()), in_logits=True)
    np.testing.assert_allclose(fig.data[0].y[:2], [4.8, 2.4])
    assert fig.layout.yaxis.title.text == "logits"


def test_without_random_sets_or_weights_neither_is_drawn():
    fig = card_bars(made(full(), random=(), by_chance=(), changed=None))
    assert not fig.layout.shapes and len(fig.data[0].y) == 4


def test_a_member_within_the_noise_is_grey_and_a_bar_chooses_its_head():
    fig = minimality_bars(made(full() | {(A, B): 0.6}))
    assert [list(place) for place in fig.data[0].customdata] == [list(A), list(B), list(C)]
    colours = fig.data[0].marker.color
    assert colours[2] != colours[0] == colours[1] and "noise" in fig.data[0].text[2]


def test_each_curve_is_named_with_its_area_and_no_zero_has_a_sign():
    card = made(full() | {(A,): 0.1, (B,): 0.2, (C,): -0.1})
    fig = recovery_curves(card)
    names = [trace.name for trace in fig.data]
    areas = card.curves().areas
    assert names[0] == "random, range" and names[2] == f"greedy, area {areas['greedy']:.2f}"
    np.testing.assert_allclose(fig.data[2].y, [0, 0.1, 0.4, 0.6])
    flat = recovery_curves(made({(A, B, C): -0.001}))
    assert not [trace.name for trace in flat.data if "−0.00" in trace.name]


def test_what_has_not_run_leaves_a_gap():
    card = made(full())
    card.forth.logit_diff[card.forth.members.index((A, B))] = np.nan
    assert recovery_curves(card).data[2].y[2] is None
    assert minimality_bars(card).data[0].y[2] is None
