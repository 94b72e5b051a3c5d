"""What is said and drawn of two experiments beside each other is B − A of the numbers of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core import compared
from core.charts.compared import (
    TokenRow,
    gap_axis,
    gap_beside,
    gap_span,
    gap_values,
    layers_beside,
    map_panels,
    token_span,
    tokens_below,
)
from core.charts.in_words import in_words
from tests.core.test_findings import TOKENS, attention, attribution, summary, sweep


def test_the_two_gaps_and_what_makes_them_are_told():
    said = compared.of_models(summary(-2.0, 4.0), summary(-1.0, 3.5))
    assert said == "From A to B the gap goes +6.00 → +4.50 (−1.50 logits): BASE −2.00 → −1.00, INSTRUCT +4.00 → +3.50."


def test_the_head_and_the_layer_whose_change_differs_most_are_named_with_both_numbers():
    a, b = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    a[1, 0, 1], b[1, 0, 1], b[0, 1, 0] = 0.25, 1.0, 0.5
    said = compared.of_attribution(attribution(a), attribution(b))
    assert "of heads in L0H1 (+0.25 in A, +1.00 in B)" in said


def test_the_patch_that_differs_most_is_named_beyond_what_rounding_makes_of_both():
    a, b = sweep([[0.0, 1.0], [-1.0, -1.0]]), sweep([[0.0, -1.0], [-0.995, -1.0]])
    said = compared.of_patching(a, b, in_logits=False)
    assert said == "Most different is L0H1: alone it moves 50% of the gap in A, less than 1% of the gap in B."
    assert "+2.00 logits in A, 0.00 logits in B" in compared.of_patching(a, b, in_logits=True)
    # 0.0125 logits lie within two floors of 0.01 together, but beyond each of them.
    near = sweep([[0.0, 1.0], [-1.0, -0.9875]])
    assert "by more than rounding does" in compared.of_patching(a, near, in_logits=True)
    assert np.allclose(compared.sweep_noise(a, b, True), np.hypot(0.01, 0.01))
    assert np.allclose(compared.sweep_noise(a, b, False), np.hypot(0.01, 0.01) / 4)


def test_of_sweeps_that_fill_only_what_has_run_in_both_is_compared():
    a, b = sweep([[np.nan, 1.0], [3.0, np.nan]]), sweep([[2.0, 0.5], [np.nan, np.nan]])
    said = compared.of_patching(a, b, in_logits=True)
    assert "L0H1" in said and "(so far: 1 of 4 have run in both)" in said
    nothing = sweep(np.full((2, 2), np.nan))
    assert compared.of_patching(a, nothing, True) == "No patch has run in both yet."


def test_models_of_other_shapes_are_told_by_what_stands_out_in_each():
    said = compared.of_patching(sweep([[0.0, 1.0]]), sweep([[0.0], [1.0], [-1.0]]), in_logits=True)
    assert said == "Furthest alone: in A L0H1 moves +2.00 logits, in B L1H0 moves +2.00 logits."
    narrow = replace(attention(), weight=attention((1, 0, 0, 3, 0.5)).weight[:, :, :1])
    said = compared.of_attention(attention((1, 1, 1, 3, 0.75)), narrow, ("original",))
    assert "in A it is L1H1's to “quick”, +0.75" in said and "in B it is L0H0's to “quick”, +0.50" in said


def test_the_head_whose_attention_changes_most_differently_is_named():
    a, b = attention((1, 0, 1, 3, 0.5), (1, 1, 0, 1, 0.25)), attention((1, 0, 1, 3, 0.25), (0, 1, 0, 1, 0.5))
    said = compared.of_attention(a, b, ("original", "colon"))
    assert said.endswith("differs most in L1H0: +0.25 to “:” in A, −0.50 to “:” in B.")


def test_bars_of_both_and_of_their_difference_stand_on_one_axis():
    values = gap_values(summary(-2.0, 4.0), summary(-1.0, 3.5))
    fig = gap_beside(values)
    assert [list(bar.x) for bar in fig.data] == [[-2, 4, 6], [-1, 3.5, 4.5], [1, -0.5, -1.5]]
    low, high = gap_axis(gap_span(values))
    ranges = {tuple(axis.range) for axis in fig.select_xaxes()}
    assert ranges == {(low, high)} and low < -2 and high > 6
    assert fig.data[2].hovertext[2] == "<b>B − A</b>, gap: −1.500 logits"
    assert in_words(fig).startswith("Logit difference, answer − original. Largest: A, gap: +6.000 logits")


def test_layers_of_each_row_and_column_share_their_axis_and_may_be_of_other_numbers():
    a, b = np.array([[1.0, 2.0], [3.0, np.nan]]), np.ones((2, 3))
    fig = layers_beside({"A": {"MLP": a, "attention": a}, "B": {"MLP": b, "attention": b}}, "t", "logits", (-1, 4))
    assert len(fig.data) == 8 and fig.data[1].y == (3.0, None)
    assert {tuple(axis.range) for axis in fig.select_yaxes()} == {(-1, 4)}
    assert {tuple(axis.range) for axis in fig.select_xaxes()} == {(-0.5, 1.5), (-0.5, 2.5)}
    # On the stage two thirds of the figure are its bars': the legend stands beside the title.
    layout = layers_beside({"A": {"MLP": a, "attention": a}}, "t", "logits", (-1, 4), size="beside").layout
    assert layout.height - layout.margin.t - layout.margin.b > 0.66 * layout.height
    assert layout.legend.y == layout.title.y and layout.legend.xanchor == "right"


def test_maps_have_a_difference_where_their_shapes_are_one():
    a, b = np.array([[1.0, np.nan]]), np.array([[3.0, 1.0]])
    (_, _, change) = map_panels(a, b)
    assert change.title == "B − A" and change.values[0, 0] == 2 and np.isnan(change.values[0, 1])
    assert len(map_panels(a, b.T)) == 2


@pytest.mark.parametrize("other", [TOKENS, (*TOKENS[:3], " sad", *TOKENS[4:]), TOKENS[1:], (*TOKENS[:3], *TOKENS[4:])])
def test_tokens_are_named_once_below_all_rows_and_what_prompts_share_stands_in_one_place(other):
    a, b = np.zeros((2, len(TOKENS))), np.ones((2, len(other)))
    rows = [TokenRow("A", a, TOKENS), TokenRow("B", b, other)]
    fig = tokens_below(rows, "L0H1")
    labels = next(fig.select_xaxes()).ticktext
    assert {axis.ticktext for axis in fig.select_xaxes()} == {labels} and len(labels) == len(TOKENS)
    assert labels[3] == ("quick/sad" if " sad" in other else "quick")
    of_a, of_b = (fig.data[n].x for n in (0, 2))
    assert all(TOKENS[of_a.index(slot)] == token for slot, token in zip(of_b, other) if token != " sad")
    assert of_b[-1] == of_a[-1] == len(TOKENS) - 1
    assert {tuple(axis.range) for axis in fig.select_yaxes()} == {token_span(rows)}
