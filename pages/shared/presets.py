"""Presets, chosen by number key or from the menu: the address's, then the file's, then the shipped ones."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import streamlit as st

from core.experiment import InputError, shorten
from core.presets import SHIPPED, Changes, Presets, leaves_the_word_open, of_address, of_file
from pages.shared import choosing, state
from pages.shared.service import service
from pages.shared.shortcuts import Shortcut
from pages.shared.text import plain

KEYS = "123456789"
_WORD = ("original", "occurrence", "answer")  # what the word that is chosen decides
_of_file = lru_cache(of_file)


def read() -> None:
    """Once the address has been read: presets in it that cannot be are told, and left out."""
    try:
        of_address(state.view("presets"))
    except InputError as error:
        state.forget("presets")
        st.session_state.complaints = [*st.session_state.complaints, f"{error}; it was ignored"]


def offered() -> Presets:
    """All of them by title, those with a key first."""
    path = service().settings.presets
    own = _of_file(Path(path), str(service().settings.pairs or "")) if path else {}
    return {**of_address(state.view("presets")), **own, **SHIPPED}


def take(changes: Changes) -> None:
    """Go to a preset; for callbacks. It is an edit as any other."""
    if "pair" in changes:
        changes = {"base": "", "instruct": "", **changes}
    elif "base" in changes or "instruct" in changes:
        changes = {"pair": "", **changes}
    whole = {**state.anew(), **changes}
    if leaves_the_word_open(changes):
        choosing.choose_itself(**{name: value for name, value in whole.items() if name not in _WORD})
    else:
        state.edit(**whole)


def shortcuts() -> list[Shortcut]:
    with_key = zip(KEYS, offered().items())
    return [Shortcut(key, shorten(title), partial(take, changes)) for key, (title, changes) in with_key]


def menu() -> None:
    """All presets, each with its key."""
    found = offered()
    keys = dict(zip(found, KEYS))

    def choose() -> None:
        if (title := st.session_state.presets_menu) in found:
            take(found[title])

    st.menu_button(
        "Presets", list(found), key="presets_menu", on_click=choose, type="tertiary",
        format_func=lambda title: plain(f"{keys[title]}  {shorten(title)}" if title in keys else shorten(title)),
    )  # fmt: skip
