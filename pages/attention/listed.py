"""The chosen heads of the Attention page: which, and the post's tables of them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import definitions
from core.attention_results import Attention
from core.wording import signed, unsigned
from pages.shared import heads
from pages.shared.asking import ask
from pages.shared.figures import below
from pages.shared.headings import part
from pages.shared.heads import Place
from pages.shared.tables import choosable, worded
from pages.shared.text import plain

LISTED = 8  # heads in the tables before anybody edits the list
POSTS = ("L30H31", "L13H23", "L16H29", "L13H15", "L22H30", "L13H22", "L30H29")


def choose(attention: Attention) -> list[Place]:
    """The heads of the tables and small maps: edited, or the preset."""
    shape = attention.weight.shape[1:3]
    preset, why = _preset(attention)
    part("Chosen heads")
    return heads.list_input(shape, preset, f"Preset: {why}")


def _preset(attention: Attention) -> tuple[list[Place], str]:
    """The best heads by output patch, as one backward pass estimates it, so that a link lists the same anywhere."""
    layers, count = attention.weight.shape[1:3]
    estimate = ask("estimate", **heads.PATCH).result
    # Another pair's may have other heads, and is replaced in a moment.
    if estimate is not None and estimate.effect.shape == (layers, count):
        found = estimate.as_sweep().top(LISTED)
        why = "the heads whose output patch is estimated to move BASE furthest"
    else:
        by_role = [attention.top_heads(role, LISTED) for role in heads.followed(attention)]
        found = [head for several in zip(*by_role) for head in several]
        why = "the heads that differ most between the models"
    posts = [place for name in POSTS if (place := heads.parse(name)) and place[0] < layers and place[1] < count]
    why += ", and the post's" if posts else ""
    return list(dict.fromkeys([*list(dict.fromkeys(found))[:LISTED], *posts])), why


def tables(attention: Attention, listed: list[Place]) -> None:
    """The post's tables: A(src→END) of the listed heads in both models."""
    roles = heads.followed(attention)
    # Two in a row: of three, the last column would be cut off.
    columns = [column for start in range(0, len(roles), 2) for column in st.columns(2 if len(roles) > 1 else 1)]
    for role, column in zip(roles, columns):
        with column:
            table = attention.heads_frame(role, listed)
            st.markdown(f"**{plain(heads.named(attention, role))}**, {role}")
            _table(table, f"heads_{role}")
            below(f"table_{role}", "Select a row to choose its head.", definitions.ATTENTION, table)


def _table(table: pd.DataFrame, key: str) -> None:
    shown = {"name": "head", "base": "BASE", "instruct": "INSTRUCT", "change": "INSTRUCT − BASE"}
    places = [place for name in table["name"] if (place := heads.parse(name))]
    named = table[list(shown)].rename(columns=shown)
    choosable(worded(named, lambda name: signed if name == shown["change"] else unsigned), key, places)
