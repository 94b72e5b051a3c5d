"""Numbers and tokens as a person reads them."""

from __future__ import annotations

from math import nan

import pytest

from core.wording import arrow, brief, number, percent, quoted, rank, share, signed, unsigned, visible, word, words


def test_a_minus_is_a_minus_sign_and_zero_has_none():
    assert [signed(x) for x in (0.014, -0.13, 0.001, -0.001, -0.0, 12)] == [
        "+0.01", "−0.13", "0.00", "0.00", "0.00", "+12.00",
    ]  # fmt: skip
    assert [unsigned(x) for x in (0.244, 0.0, -0.004, -0.13)] == ["0.24", "0.00", "0.00", "−0.13"]
    assert signed(-0.0004, 3) == "0.000" and signed(-0.0006, 3) == "−0.001"


def test_close_to_a_figure_small_numbers_are_not_rounded_away():
    assert [number(x) for x in (-1.0, 0.0, 0.25, -1e-5)] == ["−1.000", "0.000", "+0.250", "−1.0e−05"]
    assert number(0.25, plus=False) == "0.250"
    assert [brief(x) for x in (0.134, 7e-6, 120, 0)] == ["0.13", "7e−06", "1.2e+02", "0"]


def test_a_share_of_less_than_half_a_percent_is_called_so():
    assert [share(x) for x in (0.112, -0.042, 0.004, -0.004, 1.0)] == [
        "11%", "−4%", "less than 1%", "less than 1%", "100%",
    ]  # fmt: skip
    assert [percent(x) for x in (0.86, 0.0212, 0.00034, 1e-7, 0.0, 1.0)] == [
        "86%", "2.1%", "0.034%", "< 0.01%", "0%", "100%",
    ]  # fmt: skip


@pytest.mark.parametrize("form", [signed, unsigned, number, brief, percent])
def test_what_is_not_there_yet_is_an_ellipsis_in_every_form(form):
    assert form(nan) == "…"


def test_ranks_count_from_one_and_models_stand_in_their_order():
    assert [rank(x) for x in (0, 3, 48_999)] == ["1", "4", "49,000"]
    assert arrow([0.24, 0.55]) == "0.24 → 0.55"
    assert arrow([-0.42, 1.5], plus=True) == "−0.42 → +1.50"


def test_a_token_is_the_word_it_is_and_to_the_letter_it_shows_its_space():
    assert [word(x) for x in (" swift", "swift", ":", "\n\n", " ", "")] == [
        "swift", "swift", ":", "⏎⏎", "␣", "(empty)",
    ]  # fmt: skip
    assert quoted(" swift") == "“swift”"
    assert visible(" swift") == "␣swift" and visible("\u202ea") == "U+202Ea" and visible("x" * 40, 10) == "x" * 9 + "…"
    assert word(" " + "x" * 40, 10) == "x" * 9 + "…"


def test_tokens_that_would_read_alike_keep_their_spaces():
    assert words([" swift", "swift", " fast", " fast"]) == ["␣swift", "swift", "fast", "fast"]
