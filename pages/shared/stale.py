"""An original or answer of a free prompt that an edit of its text has left behind: refused, with the ways out.

What never stood in the prompt can be compared all the same, as " 5" behind "2 + 2 =". What stood there until the text
was edited belongs to the text before, and figures of it would be of a question that nobody has asked. Only the tab
knows which of the two it is; a link to such a prompt opens with a caution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from core.choice import stands
from core.experiment import Experiment, InputError, word_spans
from core.experiment import check as check_input
from core.wording import literal, visible
from pages.shared import state
from pages.shared.text import plain

MOST_WORDS = 60  # of the prompt that are offered, the last ones
_LONGEST = 60  # characters of one of them in the menu: two that read alike there would be one
Left = tuple[str, str, str]  # the prompt, "original" or "answer", and the string that is left behind


def edit_prompt(text: str) -> None:
    """Take another text for the free prompt; for callbacks."""
    before = state.experiment()
    state.edit(prompt=text)
    for name, candidate in _candidates(before).items():
        stood_in = before.prompt if stands(before.prompt, candidate) else _left().get((before.prompt, name, candidate))
        if stood_in is None or stands(text, candidate):
            _left().pop((text, name, candidate), None)
        else:
            _left()[text, name, candidate] = stood_in
    for oldest in list(_left())[: -state.MOST_STEPS]:
        del _left()[oldest]


def typed(name: str) -> Callable[[str], None]:
    """The callback of a candidate's field: what is typed there now is meant, whatever was left behind before."""

    def take(candidate: str) -> None:
        state.edit(**{name: candidate})
        _keep((state.experiment().prompt, name, candidate))

    return take


def check(experiment: Experiment) -> None:
    """Refuse a candidate that was left behind, with an `InputError` of its field."""
    for name, candidate in _candidates(experiment).items():
        if (experiment.prompt, name, candidate) in _left():
            message = f"the {name} {literal(candidate)} no longer stands in the prompt, whose text was edited"
            raise InputError(f"{message}; take the edit back, choose another one, or keep it all the same", name)


def ways_out(name: str) -> None:
    """Beside the message of that field: the buttons that end it, where it is refused for that."""
    experiment = state.experiment()
    left = experiment.prompt, name, getattr(experiment, name, "")
    if (stood_in := _left().get(left)) is None:
        return
    with st.container(key=f"stale_{name}", horizontal=True, gap="small"):
        take_back = partial(state.edit, prompt=stood_in)
        st.button("Take back the edit", on_click=take_back, key=f"stale_back_{name}")
        if name == "original":
            _another_word(experiment)
        else:
            st.button("INSTRUCT's own answer", on_click=partial(state.edit, answer=""), key="stale_own")
        help_ = "As a token that need not stand in the prompt"
        st.button("Keep it all the same", on_click=partial(_keep, left), key=f"stale_keep_{name}", help=help_)


def _another_word(experiment: Experiment) -> None:
    offered = {plain(visible(each, _LONGEST)): each for each in comparable_words(experiment)[-MOST_WORDS:]}

    def choose() -> None:
        if (label := st.session_state.stale_words) in offered:
            state.edit(original=offered[label])

    if offered:
        st.menu_button("Another word of the prompt", list(offered), key="stale_words", on_click=choose)


def comparable_words(experiment: Experiment) -> list[str]:
    """The words of a free prompt that can be its original: where none begins a text, each as behind another word."""

    def fits(candidate: str) -> bool:
        try:
            check_input(replace(experiment, original=candidate))
        except InputError:
            return False
        return candidate.strip() != experiment.answer.strip()

    exact = exact_words(experiment.prompt)
    return [each for each in dict.fromkeys(each if fits(each) else f" {each.lstrip()}" for each in exact) if fits(each)]


def exact_words(text: str) -> list[str]:
    """The words of a text in order, each once, with the space before it where one stands there."""
    spans = word_spans(text)
    return list(dict.fromkeys(text[start - (text[max(start - 1, 0) : start] == " ") : end] for start, end in spans))


def _keep(left: Left) -> None:
    _left().pop(left, None)


def _candidates(experiment: Experiment) -> dict[str, str]:
    """Of a free prompt; of a sentence, which has rules of its own, none."""
    return {name: getattr(experiment, name) for name in ("original", "answer") if experiment.is_free}


def _left() -> dict[Left, str]:
    """What was left behind in this tab → the last text in which it stood."""
    left: dict[Left, str] = st.session_state.setdefault("stale", {})
    return left
