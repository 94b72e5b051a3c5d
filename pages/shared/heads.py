"""The chosen head and lists of heads, the same on every page: its numbers, the way to its own page, inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core import wording
from core.attention_results import Attention
from core.results import head_name
from core.wording import arrow, word
from pages.shared import state
from pages.shared.text import plain, quoted
from pages.shared.widgets import show

MOST = 16  # heads in a list
Place = tuple[int, int]


def parse(name: str) -> Place | None:
    """(layer, head) of L13H23."""
    match = re.fullmatch(r"L(\d{1,3})H(\d{1,3})", name)
    return (int(match[1]), int(match[2])) if match else None


def link(head: Place) -> None:
    """To the page of one head, which shows the chosen one."""
    page = Path(__file__).parents[1] / "head/page.py"
    label, icon = f"Everything about {head_name(*head)}", ":material/arrow_forward:"
    st.page_link(page, label=label, icon=icon, query_params=state.address())


def on_screen(attention: Attention) -> Place:
    """The chosen head, or while none is chosen the one that differs most."""
    layers, heads = attention.weight.shape[1:3]
    if chosen := state.chosen_head(layers, heads):
        return chosen
    if state.view("head"):
        st.warning(f"These models have no head {state.view('head')}; layers go to {layers - 1}, heads to {heads - 1}.")
    best = [(role, attention.top_heads(role, 1)[0]) for role in followed(attention)]
    return max(best, key=lambda found: abs(attention.change(found[0])[found[1]]))[1]


def followed(attention: Attention) -> list[str]:
    """The roles that are shown, in the post's order; a prompt that has none of them is read from its end."""
    return [role for role in ("colon", "original", "picked") if role in attention.roles] or ["end"]


def named(attention: Attention, role: str) -> str:
    """A(src→END) with both tokens as they read: A(quick→The)."""
    source, end = (word(attention.tokens[attention.roles[r]]) for r in (role, "end"))
    return f"A({source}→{end})"


def in_words(attention: Attention, role: str) -> str:
    """The same as it is said: attention from “The” to “quick”."""
    source, end = (wording.quoted(attention.tokens[attention.roles[r]]) for r in (role, "end"))
    return f"attention from {end} to {source}"


def first_name(attention: Attention) -> str:
    """What position 0, the attention sink, is called: BOS, or by its token where it is none."""
    return "BOS" if "bos" in attention.roles else f"the first token, {quoted(attention.tokens[0])}"


def numbers(attention: Attention, head: Place) -> None:
    """The chosen head's numbers in one line, BASE → INSTRUCT, and the link to its page."""
    layer, h = head
    weights = {role: attention.at(role)[:, layer, h] for role in followed(attention)}
    parts = [f"{plain(named(attention, role))} {arrow(values)}" for role, values in weights.items()]
    parts.append(f"on {first_name(attention)} {arrow(attention.first[:, layer, h])}")
    parts.append(f"writes {arrow(attention.dla[:, layer, h], plus=True)} logits")
    with st.container(horizontal=True, vertical_alignment="center", key="head_numbers"):
        st.markdown(f"**{head_name(*head)}** (BASE → INSTRUCT) · {' · '.join(parts)}", width="stretch")
        link(head)


def picker(shape: tuple[int, int], head: Place) -> None:
    """One head of the model's; choosing it chooses it everywhere."""
    choose = lambda name: state.set_view("head", name)  # noqa: E731
    show(st.selectbox, "Head", "pick_head", head_name(*head), choose, options=all_names(shape), width=180)


def all_names(shape: tuple[int, int]) -> list[str]:
    layers, count = shape
    return [head_name(layer, h) for layer in range(layers) for h in range(count)]


def list_input(shape: tuple[int, int], preset: Sequence[Place], caption: str) -> list[Place]:
    """Heads to choose from all of the model's; as long as nobody edits them, the preset."""
    names = all_names(shape)
    asked, known = [name for name in state.view("listed").split(",") if name], set(names)
    if absent := [name for name in asked if name not in known]:
        st.warning(f"These models have no {', '.join(absent)}.")
    edited = [name for name in asked if name in known]
    value = edited or [head_name(*place) for place in preset]
    change = lambda listed: state.set_view("listed", ",".join(listed))  # noqa: E731
    with st.container(horizontal=True, vertical_alignment="bottom", key="list_of_heads"):
        show(
            st.multiselect, "Heads", "input_listed", value, change,
            options=names, max_selections=MOST, label_visibility="collapsed",
        )  # fmt: skip
        if edited:
            st.button("Back to the preset", on_click=lambda: state.set_view("listed", ""), key="unlist")
    st.caption("Edited list; it is part of the link." if edited else f"{caption}.")
    return [place for name in value if (place := parse(name))]
