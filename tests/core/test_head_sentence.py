"""The sentence about a head, and its tables: on numbers made by hand, with no model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.head.results import HeadReport, HeadScores, OvCircuit, OvTokens, WeightChange
from core.head.sentence import PatchEvidence, head_sentence, unseen


def report_of(weight, written, above=(50, 50), vocab=101, ov_input="recorded") -> HeadReport:
    """A head on the prompt “quick The”, END attending to quick; the second source takes the rest."""
    weight, written = np.array(weight, np.float32), np.array(written, np.float32)
    above = np.array([[n, 0] for n in above])
    nothing = (OvTokens((5,), (" x",), np.array([1.5])), OvTokens((6,), (" y",), np.array([2.5])))
    ov = OvCircuit(
        layer=30, head=31, position=0, ov_input=ov_input, promoted=nothing, suppressed=nothing,
        own=np.zeros((2, 2)), above=above, below=vocab - 1 - above, difference=np.zeros((2, 2)),
        vocab=vocab, tokens=(" quick", " The"), skip=(),
    )  # fmt: skip
    weights = WeightChange(30, *(np.ones(n) for n in (32, 8, 8, 32)))
    weight = np.stack([weight, 1 - weight], axis=1)
    return HeadReport(
        layer=30, head=31, group=7, group_heads=(28, 29, 30, 31), tokens=ov.tokens, weight=weight,
        value_weighted=weight, written=np.stack([written, 0 * written], axis=1), pattern=np.zeros((2, 2, 2)),
        ov=ov, weights=weights, projection="own", checks=(),
    )  # fmt: skip


PLAIN = (
    "L30H31 looks most at itself in both models (0.69 → 0.13), the first token apart; "
    "attends from “The” to “quick”: 0.31 → 0.87; writes −0.42 → +1.50 along the difference, "
    "of it from that token −0.42 → +1.50"
)


@pytest.fixture
def report():
    return report_of([0.31, 0.87], [-0.42, 1.5])


def test_the_sentence_holds_the_numbers_that_are_known(report):
    assert head_sentence(report, 0) == PLAIN + "."
    scored = head_sentence(report, 0, PatchEvidence(effect=0.9, score=0.13))
    assert scored == PLAIN + "; its output moves 13% of the gap."
    mirror = PatchEvidence(effect=-0.9, score=-0.04, instruct_to_base=False)
    assert head_sentence(report, 0, mirror).endswith("moves −4% of the gap (BASE into INSTRUCT).")
    assert head_sentence(report, 0, PatchEvidence(0.01, 0.001)).endswith("moves less than 1% of the gap.")


@pytest.mark.parametrize("score", [None, float("nan")])
def test_without_a_score_the_sentence_has_no_percentage(report, score):
    sentence = head_sentence(report, 0, PatchEvidence(effect=-0.24, score=score))
    assert "%" not in sentence and "gap" not in sentence
    assert sentence.endswith("its output moves BASE's logit difference by −0.24.")
    assert "%" not in head_sentence(report, 0)


@pytest.mark.parametrize("moved, said", [(0.031, "moved its W_O by 3.1%"), (0.0, ""), (np.nan, "")])
def test_it_is_said_where_an_output_patch_is_blind_to_a_moved_matrix(report, moved, said):
    of_heads = np.where(np.arange(32) == report.head, moved, 0.5)
    found = unseen(replace(report, weights=replace(report.weights, o=of_heads)))
    assert said in found and bool(found) == bool(said)


def test_an_effect_below_the_noise_floor_is_not_given_as_one(report):
    sentence = head_sentence(report, 0, PatchEvidence(effect=0.001, score=0.2, noise=0.002))
    assert "%" not in sentence and sentence.endswith("no more than the noise floor.")


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ((0, 1), "what it reads there promotes “quick” itself in both models (rank 1 → 2 of 101 by the direct path)"),
        ((99, 100), "suppresses “quick” itself in both models (rank 100 → 101"),
        ((50, 100), "suppresses “quick” itself in INSTRUCT only (rank 51 → 101"),
        ((0, 50), "promotes “quick” itself in BASE only"),
        ((2, 98), None),
    ],
)
def test_copying_is_claimed_only_at_the_ends_of_the_vocabulary(above, said):
    sentence = head_sentence(report_of([0.31, 0.87], [-0.42, 1.5], above=above), 0)
    assert sentence == PLAIN + "." if said is None else said in sentence


def test_a_table_of_another_source_says_nothing_about_this_one():
    report = report_of([0.31, 0.87], [-0.42, 1.5], above=(0, 0))
    sentence = head_sentence(report, 1)
    assert "itself in both models (0.69 → 0.13)" in sentence and "promotes" not in sentence


LOOKS = (
    ([[0.1, 0.7, 0.2], [0.2, 0.5, 0.3]], "looks most at “quick” in both models (0.70 → 0.50); writes"),
    ([[0.1, 0.7, 0.2], [0.1, 0.3, 0.6]], "looks most at “quick” in BASE (0.70), most at itself in INSTRUCT (0.60);"),
    ([[0.5, 0.4, 0.1], [0.2, 0.5, 0.3]], "looks most at “quick” in both models (0.40 → 0.50), the first token apart;"),
    (
        [[0.95, 0.03, 0.02], [0.1, 0.7, 0.2]],
        "looks mostly at the first token in BASE (0.95), most at “quick” in INSTRUCT (0.70);",
    ),
)


@pytest.mark.parametrize("weight, said", LOOKS)
def test_the_sentence_names_the_token_that_each_model_looks_at_most(report, weight, said):
    weight = np.array(weight, np.float32)
    tokens = ("The", " quick", " The")
    report = replace(report, weight=weight, written=weight, tokens=tokens, ov=replace(report.ov, tokens=tokens))
    assert said in head_sentence(report, 1)
    # What has been said of both models is not said again.
    assert ("attends from “The” to “quick”" in head_sentence(report, 1)) == ("in both models" not in said)
    assert "attends from “The” to “The”" in head_sentence(report, 0)


def test_attention_spread_over_many_tokens_looks_at_none(report):
    weight = np.full((2, 20), 0.05, np.float32)
    report = replace(report, weight=weight, written=weight, tokens=(" a",) * 20)
    assert "looks at no one token in both models (0.05 → 0.05); attends from “a” to “a”" in head_sentence(report, 3)


def test_scores_are_named_from_one_half_on(report):
    scores = {"previous": np.array([0.2, 0.1]), "induction": np.array([0.49, 0.7]), "bos": np.array([0.49, 0.4])}
    said = "; on random repeated tokens it scores induction 0.49 → 0.70."
    assert head_sentence(report, 0, scores=scores) == PLAIN + said
    assert head_sentence(report, 0, scores=scores | {"induction": np.zeros(2)}) == PLAIN + "."
    said = "; on random repeated tokens it scores first-token 0.90 → 0.80."
    assert head_sentence(report, 0, scores={"first": np.array([0.9, 0.8])}) == PLAIN + said


def test_blank_tokens_are_shown_and_a_rounded_zero_has_no_sign():
    report = replace(report_of([0.31, 0.87], [-0.001, 0.001]), tokens=("\n\n", " "))
    assert "attends from “␣” to “⏎⏎”" in head_sentence(report, 0)
    assert "writes 0.00 → 0.00 along" in head_sentence(report, 0)


def test_tables_name_heads_by_query_head_or_group():
    q, k, v, o = np.array([0.1, 0.4, 0.2, 0.3]), np.array([0.5, 0.6]), np.array([0.2, 0.1]), np.full(4, 0.7)
    change = WeightChange(13, q, k, v, o)
    frame = change.of(2)
    assert frame["name"].tolist() == ["L13H2", "L13KV1", "L13KV1", "L13H2"]
    assert frame["value"].tolist() == [0.2, 0.6, 0.1, 0.7] and frame["rank"].tolist() == [2, 0, 1, 0]
    assert frame["median"].tolist() == pytest.approx([0.25, 0.55, 0.15, 0.7])
    assert len(change.to_frame()) == 12


def test_tables_hold_the_arrays_element_by_element(report):
    row = report.to_frame().query("model == 'instruct' and position == 1").iloc[0]
    assert row["token"] == " The" and row["attention"] == report.weight[1, 1]
    frame = report.ov.to_frame()
    assert frame.loc[frame["side"] == "promoted", "token"].tolist() == [" x", " y"]
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    scores = HeadScores(array, array + 100, array + 200, True, 1, 9)
    row = scores.to_frame().query("model == 'instruct' and layer == 2 and head == 1").iloc[0]
    assert (row["previous"], row["induction"], row["bos"]) == (21, 121, 221)
    assert scores.of(2, 1)["bos"].tolist() == [209, 221] and row["first"] == 221
    silent = HeadScores(array, array + 100, array + 200, False, 1, 9)
    assert list(silent.of(2, 1)) == ["previous", "induction", "first"]
    assert silent.to_frame()["bos"].isna().all() and (silent.to_frame()["first"] == scores.first.ravel()).all()
