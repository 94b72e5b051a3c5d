"""The Patching page's table of components: its noise floor, grey, and the columns in float32."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from core.charts import theme
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.results import Agreement, Sets, Sweep
from pages.patching import score_map, sections, table, values
from pages.patching.plan import Plan

SUMMARY = SimpleNamespace(logit_diff=np.array([0.0, 4.0]))
OVERVIEW = SimpleNamespace(summary=SUMMARY, n_layers=3, n_heads=4, n_groups=2, dtype="bfloat16")
PLAN = Plan("v", "instruct_to_base", "all", "score", OVERVIEW)
GAP = Gap("instruct_to_base", 0.0, 4.0, floor=NoiseFloor(3, (0.5, 0.25, 1e-6)))
SWEEP = Sweep("v", "all", GAP, np.array([[2.0, 0.5], [0.3, 0.2], [0.1, 0.0]]))
CELLS = [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.fixture
def made():
    return table._table(PLAN, SWEEP, CELLS, None)


def test_what_pushes_away_stands_among_what_moves_furthest():
    away = replace(SWEEP, logit_diff=np.array([[2.0, -3.0], [0.3, 0.2], [0.1, 0.0]]))
    assert table._cells(PLAN, away, None)[:3] == [(0, 1), (0, 0), (1, 0)]


def test_it_is_said_what_an_estimate_finds_of_the_largest_effects():
    said = sections._largest(Agreement(0.9, 20, overlap=5, most=8, ratio=0.42))
    assert said == "Of the 8 that move furthest it finds 5, at 0.42 × their size. "
    assert sections._largest(Agreement(float("nan"), 0, overlap=0, most=0, ratio=float("nan"))) == ""


def test_every_row_has_the_floor_of_its_own_third(made):
    assert made["", "noise floor"].tolist() == [0.5, 0.5, 0.25, 0.25]


def test_effect_and_score_are_grey_exactly_in_the_rows_within_the_noise_floor(made):
    faint = [bool(SWEEP.within_noise[cell]) for cell in CELLS]
    assert faint == [False, True, False, True]
    styled = table.greyed(made, faint)
    grey = {cell for cell, style in styled._compute().ctx.items() if ("color", theme.QUIET[0]) in style}
    columns = [made.columns.get_loc(("", name)) for name in ("effect", "score")]
    assert grey == {(row, column) for row in (1, 3) for column in columns}
    assert not any(style for style in table.greyed(made, [False] * 4)._compute().ctx.values())


def test_float32_stands_beside_the_dtype_that_runs_or_is_still_empty(made):
    fine = Sets("v", "all", tuple((cell,) for cell in CELLS), Gap("instruct_to_base", 1.0, 3.0), np.arange(4.0))
    both = table._beside(made.copy(), fine)
    assert both["float32", "effect"].tolist() == [-1, 0, 1, 2]
    assert both["float32", "score"].tolist() == [-0.5, 0, 0.5, 1]
    assert both["", "effect"].tolist() == [2.0, 0.5, 0.3, 0.2]
    assert table._beside(made.copy(), None)["float32", "effect"].isna().all()
    assert "In float32 the gap is +2.00, in bfloat16 +4.00" in table._in_float32(PLAN, fine)
    assert {"float32 effect", "float32 score", "effect"} <= set(table.flat(both))


@pytest.mark.parametrize(
    "dtype, packed, offered", [("bfloat16", "", True), ("float32", "", False), ("float16", "8bit", False)]
)
def test_float32_is_offered_for_halves_whose_weights_are_not_packed(dtype, packed, offered):
    assert table.recomputable(SimpleNamespace(dtype=dtype, quantization=packed)) == offered


def test_the_floor_is_shown_in_two_digits_and_numbers_keep_their_format(made, monkeypatch):
    shown = {}

    def dataframe(data, **options):
        shown.update(data=data, **options)
        return SimpleNamespace(selection=SimpleNamespace(rows=[3, 1, 9]))

    monkeypatch.setattr(st, "dataframe", dataframe)
    monkeypatch.setattr(st, "session_state", {})
    # Groups, as a set takes them; a row that is not there any more is none.
    assert table._show(PLAN, made, CELLS, [False] * 4) == [(1, 1), (0, 1)]
    assert list(shown["data"].data["", "noise floor"]) == ["0.5", "0.5", "0.25", "0.25"]
    cells = [[cell["display_value"] for cell in row if cell["type"] == "td"] for row in written(shown["data"])]
    assert cells[1][2:] == ["+0.500", "+0.125", "0.5"]


def written(styled) -> list:
    """The rows of a styled table as they are displayed."""
    return styled._translate(False, False)["body"]


def test_attention_has_no_sign_and_what_is_negative_has_a_minus():
    columns = {("", "effect"): [-0.1304, np.nan, -0.0001], ("A(:→The)", "BASE"): [0.244, np.nan, 0.0]}
    cells = written(table.numbers(pd.DataFrame(columns)))
    shown = [[cell["display_value"] for cell in row if cell["type"] == "td"] for row in cells]
    assert shown == [["−0.130", "0.24"], ["…", "…"], ["0.000", "0.00"]]


@pytest.mark.parametrize(
    "measure, values, shown",
    [
        ("rank of answer", [1.0, 1204.0, np.nan], ["1", "1204", "…"]),
        ("KL from donor", [3.0764, 0.0, np.nan], ["3.076", "0.000", "…"]),
    ],
)
def test_ranks_are_counts_and_divergences_have_no_sign(measure, values, shown):
    cells = written(table.numbers(pd.DataFrame({("", measure): values})))
    assert [cell["display_value"] for row in cells for cell in row if cell["type"] == "td"] == shown


def test_bars_of_whole_layers_ask_for_no_click_on_a_cell():
    for show in ("effect", "rank_answer", "kl_donor"):
        shown = replace(PLAN, show=show)
        assert "Click" in score_map.reads(shown, "head") and "Click" not in score_map.reads(shown, "layer")


def test_the_file_of_groups_has_each_heads_own_numbers_and_floors_beside_its_groups():
    single = Sweep("z", "all", GAP, np.arange(12.0).reshape(3, 4))
    other = Sweep("value_only", "all", replace(GAP, floor=NoiseFloor(3, (3.0, 2.0, 1.0))), single.logit_diff + 20)
    found = values.group_csv(PLAN, [(2, 1), (0, 0)], single, SWEEP, other, SWEEP)
    assert list(found["group"]) == ["L2KV1"] * 2 + ["L0KV0"] * 2 and list(found["head"]) == [2, 3, 0, 1]
    assert list(found["head_output_score"]) == [10 / 4, 11 / 4, 0, 1 / 4]
    assert list(found["joint_value_score"]) == list(found["joint_output_score"]) == [0, 0, 0.5, 0.5]
    assert list(found["head_value_noise_floor"]) == [1, 1, 3, 3]
    assert list(found["joint_value_noise_floor"]) == [1e-6, 1e-6, 0.5, 0.5]
