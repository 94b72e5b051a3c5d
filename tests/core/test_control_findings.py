"""What controls say in words, from hand-made numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.control_findings import doubt, of_effects, of_head, of_null
from core.patching.control_results import Direct, Effects
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.results import Sweep
from tests.core.test_head_controls import GAP, controls


def effects(direct, total, site: str = "z") -> Effects:
    direct, total = np.array(direct, float), np.array(total, float)
    return Effects(Direct(site, "all", GAP, direct, direct), Sweep(site, "all", GAP, GAP.recipient + total))


def test_heads_against_their_own_sign_are_counted_among_those_that_move_it():
    said = of_effects(effects([[1.0, -0.5, 0.3]], [[0.9, 0.6, -0.01]]))
    assert said.startswith("Of the 2 heads that move BASE by more than 0.05 logits, 1 does so against the sign")
    assert "Self-repair" in said and "in 1: L0H2 (+0.30 logits directly, −0.01 in all)." in said


def test_self_repair_names_the_largest_direct_effects_first_and_counts_the_others():
    said = of_effects(effects([[1.0, -2.0, 3.0, 0.5, 4.0]], [[0.2, -0.2, 0.3, 0.11, 4.0]]))
    assert "in 4: most of all L0H2" in said and said.index("L0H2") < said.index("L0H1") < said.index("L0H0")
    assert "L0H3" not in said and "L0H4" not in said


def test_where_nothing_moves_or_is_taken_back_it_says_that():
    said = of_effects(effects([[0.01, 0.0]], [[0.01, 0.02]]))
    assert said == "No head moves BASE by more than 0.05 logits. Nowhere is most of a direct effect taken back by " + (
        "what comes after."
    )
    assert "Of the one layer that moves BASE by more than 0.05 logits, 0 do so" in of_effects(
        effects([[0.2]], [[0.3]], "mlp_out")
    )


def test_what_has_run_so_far_is_counted():
    assert of_effects(effects([[1.0, 1.0]], [[np.nan, 1.0]])).endswith("(So far: 1 of 2 have run.)")


def test_one_heads_sentence_names_self_repair_and_reversal_and_else_says_what_is_indirect():
    assert "self-repair, what comes after it takes back 70% of its direct effect" in of_head(controls(1.0, 0.3))
    assert "turns the sign round" in of_head(controls(1.0, -0.3))
    assert "takes back 100% of its direct effect" in of_head(controls(1.0, -0.05))
    assert of_head(controls(1.0, 0.9)) == (
        "L1H3 moves BASE by +1.00 logits directly, by +0.90 in all: −0.10 is made of it by later components and by "
        "the norms' scales."
    )


def test_a_score_within_the_range_of_random_changes_is_doubted_and_one_beyond_is_not():
    assert doubt(controls(1.0, 0.9)) == (
        "L1H3 moves BASE by +22.5% of the gap, within the range of 3 random changes of the same size (−12.5% to +25.0% "
        "of the gap): it says nothing of the content."
    )
    assert doubt(controls(1.0, 1.1)) == ""
    assert of_null(controls(1.0, 1.1)).endswith("its own +27.5% of the gap lies outside.")


def test_a_score_within_the_noise_floor_is_doubted_for_that():
    assert "no more than the noise floor (0.1 logits)" in doubt(controls(1.0, 0.05))


def test_of_base_put_into_instruct_shares_of_the_gap_go_from_the_lowest_to_the_highest():
    back = Gap("base_to_instruct", 2.0, -2.0, floor=NoiseFloor(2, (0.1, 0.1, 0.1)))
    assert "(−25.0% to +12.5% of the gap)" in doubt(controls(-1.0, -0.2, gap=back))
    assert "moves INSTRUCT by" in of_head(controls(-1.0, -0.9, gap=back))


def test_without_a_gap_effects_are_told_in_logits():
    small = replace(GAP, donor=-1.8)
    assert "by +0.90 logits, within" in doubt(controls(1.0, 0.9, gap=small))
    assert "(−0.50 to +1.00 logits)" in doubt(controls(1.0, 0.9, gap=small))
