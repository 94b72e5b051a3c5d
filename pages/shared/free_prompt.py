"""From instruction and sentence to a free prompt and back: what was typed in either is there again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.choice import chosen_word
from core.experiment import Experiment, InputError, prompt_text
from pages.shared import choosing, focus, stale, state
from pages.shared.service import service

MENU = "settings"  # the menu that the buttons stand in
_BOTH = ("original", "answer", "occurrence", "template")  # what both ways of writing use


def switch() -> None:
    """The button that leads to the other way of writing."""
    if state.experiment().is_free:
        _button("Back to instruction and sentence", _to_parts, "sentence")
        if st.session_state.get("parts") is not None and _is_edited(state.experiment()):
            _button("Begin anew from the sentence", _begin_anew, "prompt")
    else:
        _button("Write a free prompt", _to_free_prompt, "prompt", help="Any text, with exact answer and original")


def _button(label: str, act: Callable[[], None], field: str, **options: Any) -> None:
    """One that leads to a field of the bar: the menu, which lies over it, closes."""

    def go() -> None:
        act()
        st.session_state[MENU] = False
        focus.ask(f"[class*=st-key-input_{field}] :is(input, textarea)")

    st.button(label, on_click=go, **options)


def edit(text: str) -> None:
    """Take another text for the free prompt; for callbacks. With none at all there is no free prompt any more."""
    if text:
        stale.edit_prompt(text)
    else:
        _to_parts()


def _to_free_prompt() -> None:
    """Back to what was written by hand, else to the text on screen."""
    left: Experiment | None = st.session_state.get("free")
    st.session_state.parts = state.experiment()
    if left is None or not _is_edited(left):
        _begin_anew()
    else:
        _take(left, prompt=left.prompt)


def _begin_anew() -> None:
    """From the text of instruction and sentence, a chat template's included."""
    parts: Experiment = st.session_state.parts
    try:
        text = prompt_text(parts)
        overview = service().known("overview", parts)
        made = overview.prompt.text if overview else text.text
        words = {"original": text.original, "answer": text.answer or ""}
    except InputError:
        made, words = f"{parts.instruction}: {parts.sentence}", {}
    st.session_state.made = made
    state.edit(prompt=made, occurrence=0, template="raw", **words)


def _is_edited(free: Experiment) -> bool:
    return free.prompt != st.session_state.get("made")


def _to_parts() -> None:
    st.session_state.free = free = state.experiment()
    parts: Experiment | None = st.session_state.get("parts")
    if parts is not None and (parts.instruction, parts.sentence) == (free.instruction, free.sentence):
        _take(parts, prompt="")
        return
    bare = {"prompt": "", "original": free.original.strip(), "answer": free.answer.strip(), "occurrence": 0}
    if chosen_word(Experiment(sentence=free.sentence, original=free.original.strip())) is None:
        choosing.choose_itself(**bare)
    else:
        state.edit(**bare)


def _take(left: Experiment, prompt: str) -> None:
    state.edit(prompt=prompt, **{name: getattr(left, name) for name in _BOTH})
