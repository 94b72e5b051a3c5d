"""From instruction and sentence to a free prompt and back: what was typed in either is there again."""

from __future__ import annotations

import streamlit as st

from core.choice import chosen_word
from core.experiment import Experiment, InputError, prompt_text
from pages.shared import choosing, state
from pages.shared.service import service

_BOTH = ("original", "answer", "occurrence", "template")  # what both ways of writing use


def switch() -> None:
    """The button that leads to the other way of writing."""
    if state.experiment().is_free:
        st.button("Back to instruction and sentence", on_click=_to_parts)
        if st.session_state.get("parts") is not None and _is_edited(state.experiment()):
            st.button("Begin anew from the sentence", on_click=_begin_anew)
    else:
        st.button("Write a free prompt", on_click=_to_free_prompt, help="Any text, with exact answer and original")


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
