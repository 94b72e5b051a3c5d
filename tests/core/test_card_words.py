"""What is said of a circuit card: only what its numbers support; and its JSON."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from core.export.tables import to_json
from core.patching.card_results import Card
from core.patching.card_words import DEFINITIONS, card_description, card_sentence, card_tables
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.results import Sets

A, B, C = (1, 0), (2, 1), (2, 3)
NOISE = 0.01
RANDOM = (((1, 1), (2, 0), (2, 2)), ((1, 2), (2, 0), (2, 2)))


def made(
    scores: dict[tuple, float], necessity: float = 0.3, changed: float | None = 0.1, members=(A, B, C),
    gap: float = 8.0, random=RANDOM, by_chance: tuple[float, ...] = (0.05, 0.1), rest: float = 0.8,
) -> Card:  # fmt: skip
    """A card of 3 layers of 4 heads: scores of subsets; those not named are 0. In a gap of 8 logits, unless said."""
    floor = NoiseFloor(3, (NOISE,) * 3)
    there, back = Gap("instruct_to_base", 0.0, gap, 0.0, floor), Gap("base_to_instruct", gap, 0.0, 0.0, floor)
    everything = tuple((layer, head) for layer in range(3) for head in range(4))
    subsets = [chosen for size in range(1, len(members) + 1) for chosen in combinations(members, size)]
    runs = dict.fromkeys(subsets, 0.0) | scores | dict(zip(random, by_chance)) | {everything: 1.0}
    others = tuple(head for head in everything if head not in members)
    runs |= {others: rest}
    forth = Sets("z", "all", tuple(runs), there, np.array(list(runs.values())) * gap)
    mirror = Sets("z", "all", (members,), back, np.array([gap - necessity * gap]))
    weights = None if changed is None else Sets("w_head", "all", (members,), there, np.array([changed * gap]))
    return Card("z", "all", members, 3, 4, forth, mirror, weights, random, (), (), members, 0)


def full(**more) -> dict[tuple, float]:
    """Each adds something to the others."""
    return {(A, B, C): 0.6, (A, B): 0.4, (A, C): 0.35, (B, C): 0.2} | more


def test_a_set_that_is_more_than_chance_carries_and_needs_all_its_members():
    assert card_sentence(made(full())) == (
        "These 3 heads together move BASE 60% of the gap towards INSTRUCT, more than any of 2 random sets of the same "
        "layers (10% at most). Taken from BASE, they move INSTRUCT 30% of the way back; all others without them move "
        "BASE 80%. No member is dispensable: the least, L2H3, adds 20%. Their own changed weights move 10%: they "
        "mostly carry what was changed elsewhere."
    )


@pytest.mark.parametrize(
    "by_chance, said",
    [
        ((0.05, 0.7), "1 of 2 random sets of the same layers moves it as far."),
        ((0.6, 0.7), "2 of 2 random sets of the same layers move it as far: nothing speaks for just these."),
    ],
)
def test_random_sets_that_move_as_far_are_counted(by_chance, said):
    assert said in card_sentence(made(full(), by_chance=by_chance))


def test_layers_without_other_heads_are_said():
    assert "their layers have no other heads for a comparison." in card_sentence(made(full(), random=(), by_chance=()))


@pytest.mark.parametrize(
    "without, said",
    [
        ({(A, B): 0.595}, "L2H3 can be left out."),
        ({(A, B): 0.56, (A, C): 0.56, (B, C): 0.56}, "No member is dispensable: the least, L1H0, adds 4%."),
        ({(A, B): 0.8}, "L2H3 works against the others."),
        ({(A, B): 0.58, (A, C): 0.9}, "L2H1 and L2H3 can be left out."),
        ({(A, B): 0.6, (A, C): 0.6, (B, C): 0.6}, "Each member alone is dispensable"),
    ],
)
def test_members_that_add_nothing_are_named(without, said):
    assert said in card_sentence(made(full() | without))


@pytest.mark.parametrize(
    "changed, said",
    [
        (0.0, "Their own weights move nothing: what they bring was changed elsewhere."),
        (0.3, "Their own changed weights move 30%: part of it was changed here, part is only carried."),
        (0.55, "Their own changed weights move 55%: most of what they bring was changed here."),
    ],
)
def test_what_was_changed_here_is_told_from_what_is_carried(changed, said):
    assert card_sentence(made(full(), changed=changed)).endswith(said)
    assert "weights" not in card_sentence(made(full(), changed=None))


def test_one_head_is_spoken_of_as_one():
    said = card_sentence(made({(A,): 0.2}, members=(A,), random=(((1, 1),),), by_chance=(0.1,)))
    assert said == (
        "L1H0 moves BASE 20% of the gap towards INSTRUCT, more than the only random set of the same layers (10%). "
        "Taken from BASE, it moves INSTRUCT 30% of the way back; all others without it move BASE 80%. Its own "
        "changed weights move 10%: part of it was changed here, part is only carried."
    )


def test_within_the_noise_nothing_else_is_said():
    assert card_sentence(made(full() | {(A, B, C): 0.001})) == (
        "These 3 heads together move BASE no more than rounding does."
    )


def test_without_a_gap_it_speaks_of_logits():
    said = card_sentence(made(full(), gap=0.4))
    assert "move BASE by +0.24 logits, more than any" in said and "%" not in said
    assert "they move INSTRUCT by −0.12 logits; all others without them move BASE by +0.32 logits" in said


def test_what_has_not_run_is_not_spoken_of():
    card = made(full())
    values = np.full_like(card.forth.logit_diff, np.nan)
    nothing = Sets("z", "all", card.forth.members, card.gap, values)
    assert card_sentence(Card(**{**vars(card), "forth": nothing})) == "The set has not run yet."
    values = values.copy()
    values[card.forth.members.index((A, B, C))] = 4.8
    begun = Card(**{**vars(card), "forth": Sets("z", "all", card.forth.members, card.gap, values), "changed": None})
    assert card_sentence(begun) == "These 3 heads together move BASE 60% of the gap towards INSTRUCT."


def test_the_json_defines_every_number_and_lists_every_draw():
    card = made(full())
    found = json.loads(to_json({**card_description(card)}, card_tables(card)))
    assert (
        {row["number"] for row in found["numbers"]} | {"noise_floor"} == set(DEFINITIONS) == set(found["definitions"])
    )
    assert found["card"]["members"] == ["L1H0", "L2H1", "L2H3"]
    assert found["card"]["finding"] == card_sentence(card)
    assert found["draws"]["random_sets"] == [["L1H1", "L2H0", "L2H2"], ["L1H2", "L2H0", "L2H2"]]
    assert found["draws"]["random_orders"] == "all orders"
    assert {row["order"] for row in found["curves"]} == {"single", "greedy", "random"}
    assert [row["set"] for row in found["runs"]].count("all") == 1
    assert [row["size"] for row in found["runs"] if row["set"] == "all but the set"] == [9]
    by_name = {row["number"]: row for row in found["numbers"]}
    assert by_name["completeness"]["score"] == pytest.approx(0.2) and by_name["completeness"]["effect"] is None
    assert by_name["carried"]["score"] == pytest.approx(0.5)
