"""The original word chooses itself where nobody has chosen one: a new sentence does not fail because of the old word.

A word that was chosen stays while it stands in the sentence, and is one token there; not so a function word that has
chosen itself, for want of another. Else the first word that says something of its own stands in for it, so that figures
come at once; meanwhile INSTRUCT rewrites the sentence, and the word that it changes takes its place, unless the viewer
has chosen one by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from core import comparison
from core.choice import chosen_word, first_content_word, keep_choice, with_word
from core.experiment import MAX_CHARACTERS, Experiment, choose_word
from core.function_words import is_function_word
from core.rewriting import Rewriting
from pages.shared import state
from pages.shared.asking import Asking, held_job, so_far
from pages.shared.service import service


def open_choice() -> bool:
    """Whether the original word on screen only stands in for the one that INSTRUCT would change."""
    return bool(st.session_state.get("choosing"))


def edit_sentence(sentence: str) -> None:
    """Take another sentence; for callbacks."""
    experiment = state.experiment()
    if len(sentence) > MAX_CHARACTERS:
        # It will be refused: the word stays for the next one.
        state.edit(sentence=sentence)
    elif kept := {} if open_choice() or _for_want_of_another(experiment) else keep_choice(experiment, sentence):
        state.edit(sentence=sentence, **kept)
        st.session_state.kept = state.experiment()
    else:
        choose_itself(sentence=sentence)


def _for_want_of_another(experiment: Experiment) -> bool:
    return bool(st.session_state.get("itself")) and is_function_word(experiment.original)


def choose_itself(**changes: Any) -> None:
    """Change the experiment and leave its word to INSTRUCT; for callbacks."""
    found = stand_in(replace(state.experiment(), **changes))
    state.edit(**changes, **found)
    st.session_state.choosing = st.session_state.itself = bool(found)


def stand_in(experiment: Experiment) -> dict[str, Any]:
    """The fields that name the first word with a meaning of its own; empty where the sentence has no word."""
    first = None if experiment.is_free else first_content_word(experiment.sentence)
    return {} if first is None else {**choose_word(experiment.sentence, first), "answer": ""}


def read() -> None:
    """Once the address has been read: one that spells a sentence and no word leaves the word open.

    Of two experiments that it compares, A has the stand-in.
    """
    query, experiment, a = st.session_state.address, state.experiment(), state.compared()
    if a is not None and _open(query, "original", a):
        st.session_state.compared = replace(a, **stand_in(a))
    name = "original" if a is None or a == experiment else f"{comparison.PREFIX}original"
    found = stand_in(experiment) if _open(query, name, experiment) else {}
    st.session_state.experiment = replace(experiment, **found)
    st.session_state.choosing = st.session_state.itself = bool(found)


def _open(query: Mapping[str, str], name: str, experiment: Experiment) -> bool:
    """Whether an address that spells an experiment leaves its word open, which the parameter would name."""
    return bool(query) and name not in query and not experiment.is_free and chosen_word(experiment) is None


def move() -> None:
    """At a run's begin: go to the word that INSTRUCT changes, as far as that is known. No step that can be undone."""
    if not open_choice():
        return
    experiment, job = state.experiment(), held_job("rewriting")
    known: Rewriting | None = service().known("rewriting", experiment)
    found = known or so_far(job)
    if found is not None and found.chosen != chosen_word(experiment):
        moved = replace(with_word(experiment, found.chosen), picked=None)
        if state.compared() == experiment:
            # Nobody has edited it since it was compared with itself.
            st.session_state.compared = moved
        st.session_state.experiment = moved
    st.session_state.choosing = known is None and not (job is not None and job.finished)


def begin(asking: Asking) -> None:
    """At a page's end, its own questions asked: have the sentence rewritten. Nobody waits for it."""
    if "original" in asking.errors and state.experiment() == st.session_state.get("kept"):
        # In capitals, say, it is several tokens. Once: who then asks for it by name is refused.
        st.session_state.choosing, st.session_state.kept = True, None
    if open_choice():
        # A stand-in that is refused is nobody's mistake: the next one comes.
        for field in ("original", "answer"):
            asking.errors.pop(field, None)
        chosen = chosen_word(state.experiment())
        asking.begin("rewriting", news=lambda found: found.chosen != chosen)
