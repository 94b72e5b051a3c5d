"""A circuit card in words: the sentence that its numbers support, each number's definition, and its JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from core.patching.card_results import Amount, Card
from core.patching.members import Members, name_of
from core.patching.plan import unit
from core.wording import share, signed

FEW = 3  # members that are named one by one
SPARE = 0.05  # of what the set moves
MOSTLY = 1 / 3  # of what a set moves: with less of its own, it mostly carries
DEFINITIONS = {
    "sufficiency": "F(S): the score of patching all members of the set S at once from INSTRUCT into BASE; "
    "score = (logit_diff(patched) − logit_diff(recipient)) / (logit_diff(donor) − logit_diff(recipient))",
    "necessity": "N(S): the same from BASE into INSTRUCT, against its own gap",
    "all_but": "F(all but S): every head (or KV group) of every layer but those of the set, at its site and positions",
    "all": "F(all): every head (or KV group) of every layer",
    "completeness": "1 − F(all but S) / F(all): the share of what all move that is lost without the set; "
    "of everything 1, of nothing 0",
    "minimality": "F(S) − F(S without the member): what it adds to the others",
    "random_set": "F of a random set with as many members in each layer, drawn from the others of the layer "
    "(from all of it where others do not suffice), never the set itself",
    "changed": "F of the donor's weights in the same members, everything else the recipient's own",
    "carried": "F(S) − changed: what the members' activations bring that their own weights do not",
    "area": "area under the recovery curve, F of the first k of n members against k / n, by trapezoids; the order is "
    "by single score, greedy (each next the member that brings the set nearest to the donor) or random (mean)",
    "noise_floor": "what rounding alone moves, in logits; of a difference that of its runs, in quadrature",
}
TABLES = ("numbers", "curves", "runs")


def card_sentence(card: Card) -> str:
    """What the numbers support, as far as they have run."""
    if np.isnan(card.sufficiency.effect):
        return "The set has not run yet."
    if card.sufficiency.within_noise:
        return f"{_subject(card)} {_verb(card, 'move')} BASE no more than rounding does."
    parts = [_sufficient(card), _necessary(card), _minimal(card), _changed(card)]
    return " ".join(part for part in parts if part)


def _subject(card: Card) -> str:
    kind = {"head": "heads", "group": "KV groups"}[unit(card.site)]
    return card.names[0] if len(card.members) == 1 else f"These {len(card.members)} {kind} together"


def _verb(card: Card, verb: str) -> str:
    return f"{verb}s" if len(card.members) == 1 else verb


def _moved(card: Card, amount: Amount) -> str:
    return f"{signed(amount.effect)} logits" if card.gap.reason else share(amount.score)


def _sufficient(card: Card) -> str:
    moved = _moved(card, card.sufficiency)
    moved = f"by {moved}" if card.gap.reason else f"{moved} of the gap towards INSTRUCT"
    said = f"{_subject(card)} {_verb(card, 'move')} BASE {moved}"
    ran = [amount for amount in card.by_chance if np.isfinite(amount.effect)]
    if not card.random:
        return f"{said}; their layers have no other heads for a comparison." if card.complete else f"{said}."
    if not ran:
        return f"{said}."
    towards = np.sign(card.gap.size)
    best = max(ran, key=lambda amount: amount.effect * towards)
    above = sum(amount.effect * towards >= card.sufficiency.effect * towards for amount in ran)
    if len(ran) == 1 and not above:
        return f"{said}, more than the only random set of the same layers ({_moved(card, best)})."
    sets = f"{len(ran)} random sets of the same layers"
    if above:
        end = ": nothing speaks for just these" if above > len(ran) / 2 else ""
        return f"{said}; {above} of {sets} {'moves' if above == 1 else 'move'} it as far{end}."
    return f"{said}, more than any of {sets} ({_moved(card, best)} at most)."


def _necessary(card: Card) -> str:
    if np.isnan(card.necessity.effect) or np.isnan(card.all_but.effect):
        return ""
    moved = _moved(card, card.necessity)
    moved = f"by {moved}" if card.gap.reason else f"{moved} of the way back"
    said = f"Taken from BASE, {'it moves' if len(card.members) == 1 else 'they move'} INSTRUCT {moved}"
    if len(card.members) == len(card.everything):
        return f"{said}."
    them = "it" if len(card.members) == 1 else "them"
    return (
        f"{said}; all others without {them} move BASE {'by ' if card.gap.reason else ''}{_moved(card, card.all_but)}."
    )


def _minimal(card: Card) -> str:
    """Which members the set can do without: they add no more than noise, or than a SPARE share of what it moves."""
    added = card.minimality
    if len(added) == 1 or any(np.isnan(amount.effect) for amount in added.values()):
        return ""
    towards = {member: amount.effect * np.sign(card.gap.size) for member, amount in added.items()}
    least = SPARE * abs(card.sufficiency.effect)
    spare = [m for m, value in towards.items() if value <= max(least, added[m].noise_floor)]
    if not spare:
        last = min(towards, key=lambda member: towards[member])
        return f"No member is dispensable: the least, {name_of(last, card.site)}, adds {_moved(card, added[last])}."
    if len(spare) == len(added):
        return "Each member alone is dispensable: without it the others do about as much."
    names = [name_of(member, card.site) for member in spare]
    if len(spare) > FEW:
        return f"{len(spare)} members add little each: {', '.join(names[:FEW])} and others."
    worse = [m for m in spare if -towards[m] > max(least, added[m].noise_floor)]
    verb = "works against the others" if worse == spare and len(spare) == 1 else "can be left out"
    return f"{' and '.join(names)} {verb}."


def _changed(card: Card) -> str:
    own = card.weights
    if own is None or np.isnan(own.effect):
        return ""
    its = "Its" if len(card.members) == 1 else "Their"
    if own.within_noise:
        return f"{its} own weights move nothing: what they bring was changed elsewhere."
    part = own.effect / card.sufficiency.effect
    who = "it" if len(card.members) == 1 else "they"
    if part < MOSTLY:
        end = f"{who} mostly {_verb(card, 'carry').replace('carrys', 'carries')} what was changed elsewhere"
    elif part <= 1 - MOSTLY:
        end = "part of it was changed here, part is only carried"
    else:
        end = f"most of what {who} {_verb(card, 'bring')} was changed here"
    return f"{its} own changed weights move {_moved(card, own)}: {end}."


def card_tables(card: Card) -> dict[str, pd.DataFrame]:
    return dict(zip(TABLES, (card.to_frame(), card.curves_frame(), card.runs_frame())))


def card_description(card: Card) -> dict[str, Any]:
    """What stands beside the tables in a card's JSON: the set, its sentence, what was drawn, what each number means."""

    def named(sets: tuple[Members, ...]) -> list[list[str]]:
        return [[name_of(member, card.site) for member in members] for members in sets]

    gaps = {gap.direction: {"recipient": gap.recipient, "donor": gap.donor} for gap in (card.gap, card.back.gap)}
    drawn = {
        "seed": card.seed,
        "random_sets": named(card.random),
        "layers_without_enough_others": list(card.crowded),
        "random_orders": named(card.orders) or "all orders",
        "greedy_order": named((card.greedy,))[0],
        "order_by_single_score": named((card.by_single,))[0],
    }
    found = {
        "site": card.site,
        "positions": card.positions,
        "members": card.names,
        "finding": card_sentence(card),
        "weights": card.changed.site if card.changed else None,
        "logit_diff": gaps,
        "no_scores_because": card.gap.reason,
    }
    return {"card": found, "draws": drawn, "definitions": DEFINITIONS}
