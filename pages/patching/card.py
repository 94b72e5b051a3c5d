"""The circuit card of the set on the Patching page."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from core import definitions
from core.charts.card import card_bars, minimality_bars, recovery_curves
from core.patching.card_results import Card
from core.patching.card_words import card_description, card_sentence, card_tables
from core.patching.plan import unit
from pages.patching.plan import Plan
from pages.patching.sets import set_input
from pages.shared.asking import Answer
from pages.shared.downloads import json_button
from pages.shared.figures import figure
from pages.shared.filling import filled
from pages.shared.text import plain


def card_section(overview: Answer, plan: Plan) -> None:
    """In both directions, whatever the page's own is."""
    members, site = set_input(plan), plan.of_sets["site"]
    if plan.frozen_patterns:
        st.caption("In a card all patterns run freely, whatever the map above holds.")
    if members:
        asked = {"members": members, "site": site, "positions": plan.positions}
        filled(overview, [("card", asked)], partial(_draw, overview, plan, asked))


def _draw(overview: Answer, plan: Plan, asked: dict, card: Card | None) -> None:
    if card is None:
        st.info("The set and its random companions are on their way.")
        return
    with st.container(key="card_finding"):
        st.markdown(plain(card_sentence(card)), help=definitions.CARD)
    of = {"site": asked["site"], "positions": asked["positions"]}
    in_logits = plan.show == "effect"
    left, right = st.columns(2, gap="medium")
    with left:
        fig = card_bars(card, in_logits)
        figure(fig, "card", _band(card), definitions.CARD, card.to_frame, of=of)
    with right:
        fig = minimality_bars(card, in_logits)
        heads = lambda place: (place[0], plan.head_of(card.site, place[1]))  # noqa: E731
        table = partial(_minimality, card)
        read = "The set with it minus the set without it; grey: within the noise of both."
        figure(fig, "minimality", read, definitions.CARD, table, heads=heads, of=of)
    fig = recovery_curves(card, in_logits)
    figure(fig, "recovery", _recovery(card), definitions.CARD, card.curves_frame, of=of)
    if card.complete:
        made = lambda: (card_description(card), card_tables(card))  # noqa: E731
        json_button("card", overview, made, "The whole card as JSON: numbers, curves, every run and draw, definitions")


def _minimality(card: Card) -> pd.DataFrame:
    table = card.to_frame()
    return table[table["number"] == "minimality"]


def _band(card: Card) -> str:
    kind = {"head": "heads", "group": "KV groups"}[unit(card.site)]
    if not card.random:
        said = f"There are no random sets: the layers have no other {kind}."
    else:
        said = (
            f"Band: the range of {len(card.random)} random {'set' if len(card.random) == 1 else 'sets'} of its layers."
        )
        if card.crowded:
            layers = ", ".join(map(str, card.crowded))
            said += f" Layers with too few other {kind} ({layers}) lend the set's own to them."
    if card.changed is None:
        what = "weights" if card.site.startswith("w_") else "single positions"
        said += f" Of {what} nothing is told apart into changed and carried."
    return said


def _recovery(card: Card) -> str:
    orders = "all orders" if not card.orders else f"{len(card.orders)} random orders"
    return f"What the first members move together; band and dotted mean: {orders}. Area: the mean height of a curve."
