"""The chosen head and lists of heads, the same on every page: its numbers, the way to its own page, inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from core.attention_results import Attention
from core.results import head_name
from pages.shared import state
from pages.shared.text import plain

MOST = 16  # heads in a list
Place = tuple[int, int]


def parse(name: str) -> Place | None:
    """(layer, head) of L13H23."""
    match = re.fullmatch(r"L(\d{1,3})H(\d{1,3})", name)
    return (int(match[1]), int(match[2])) if match else None


def link(head: Place) -> None:
    """To the page of one head, which shows the chosen one."""
    page = Path(__file__).parents[1] / "head/page.py"
    st.page_link(page, label=f"Everything about {head_name(*head)}", icon=":material/arrow_forward:")


def numbers(attention: Attention, head: Place) -> None:
    """The chosen head in four numbers, BASE → INSTRUCT, and the link to its page."""
    layer, h = head
    shown = {
        f"A({plain(attention.tokens[attention.roles[role]].strip())}→END)": attention.at(role)[:, layer, h]
        for role in ("colon", "original", "picked")
        if role in attention.roles
    }
    if "bos" in attention.roles:
        shown["on the first token (BOS)"] = attention.bos[:, layer, h]
    with st.container(horizontal=True, vertical_alignment="center", key="head_numbers"):
        st.metric("Head", head_name(*head), width="content")
        for label, values in shown.items():
            st.metric(label, _arrow(values, "{:.2f}"), width="content", help="BASE → INSTRUCT")
        st.metric("writes, logits", _arrow(attention.dla[:, layer, h], "{:+.2f}"), width="content", help=_DLA)
        pass


_DLA = "direct logit attribution: what the head adds to the logit difference directly, BASE → INSTRUCT"


def _arrow(values: np.ndarray, form: str) -> str:
    return " → ".join(form.format(value) for value in values).replace("-", "−")


def choice(kind, label: str, name: str, options: Mapping[str, str], **widget) -> str:
    """A widget on a parameter of the view; a value that the address names but nobody offers becomes the first."""
    key = f"input_{name}"
    value = state.view(name) if state.view(name) in options else next(iter(options))
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    change = lambda: state.set_view(name, st.session_state[key])  # noqa: E731
    kind(label, list(options), key=key, on_change=change, format_func=options.get, **widget)
    return value


def list_input(shape: tuple[int, int], preset: Sequence[Place], caption: str) -> list[Place]:
    """Heads to choose from all of the model's; as long as nobody edits them, the preset."""
    layers, count = shape
    names = [head_name(layer, h) for layer in range(layers) for h in range(count)]
    edited = [name for name in state.view("listed").split(",") if name in set(names)]
    value = edited or [head_name(*place) for place in preset]
    if st.session_state.get("input_listed") != value:
        st.session_state.input_listed = value

    def change() -> None:
        state.set_view("listed", ",".join(st.session_state.input_listed))

    with st.container(horizontal=True, vertical_alignment="bottom", key="list_of_heads"):
        st.multiselect(
            "Heads", names, key="input_listed", on_change=change, max_selections=MOST, label_visibility="collapsed"
        )
        if edited:
            st.button("Back to the preset", on_click=lambda: state.set_view("listed", ""), key="unlist")
    st.caption("Edited list; it is part of the link." if edited else f"{caption}.")
    return [parse(name) for name in value]
