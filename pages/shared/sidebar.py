"""The sidebar: everything that determines the numbers, each input with its own place for an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import streamlit as st

from cache.questions.overview import Overview
from core.experiment import (
    DEFAULT_INSTRUCTION,
    DEFAULT_SENTENCE,
    DTYPES,
    TEMPLATES,
    Experiment,
    InputError,
    choose_word,
    prompt_text,
    words,
)
from pages.shared import choosing, pair, state, widgets
from pages.shared.asking import on_screen
from pages.shared.service import service
from pages.shared.text import plain, quoted
from pages.shared.widgets import show

MOST_WORDS = 60
_TEMPLATES = {"raw": "none: raw text", "chat": "INSTRUCT's own"}
_AUTO = "auto: the pair's own; on a CPU float32 in place of bfloat16 and float16, which are slower there, where it fits"


def sidebar(pages: Sequence) -> dict[str, object]:
    """Draw the list of pages and the inputs; returns for each field the slot beside it where an error is shown."""
    experiment, slots = state.experiment(), {}
    with st.sidebar:
        address = state.address()
        with st.container(gap=None, key="pages"):
            for page in pages:
                st.page_link(page, query_params=address, width="stretch")
        slots["pair"] = pair.choice(experiment)
        slots["precision"] = st.empty()
        if experiment.is_free:
            slots |= _free_prompt()
        else:
            slots |= _parts(experiment)
        slots["answer"] = _answer(experiment)
        slots["suggestions"] = st.empty()
        with st.expander("Advanced", key="advanced"):
            fields = _advanced(experiment)
        # Below the section, which may be closed.
        slots |= {field: st.empty() for field in fields}
    return slots


def finish(slots: dict, errors: dict[str, str]) -> None:
    """What is known only after the answer: INSTRUCT's suggestions, and each message beside the input that caused it."""
    overview = on_screen()
    if overview and overview.summary.suggestions:
        suggestions(slots["suggestions"], overview.summary.suggestions)
    for field, message in errors.items():
        with slots.get(field, slots["pair"]).container():
            st.error(plain(message[:1].upper() + message[1:]))
            if field == "picked":
                st.button("Follow no token", on_click=lambda: state.edit(picked=None), key="unpick_refused")


def _input(kind: Callable, label: str, name: str, **options) -> object:
    """A widget on one field of the experiment, and the slot below it."""
    change = lambda value: state.edit(**{name: value})  # noqa: E731
    show(kind, label, f"input_{name}", getattr(state.experiment(), name), change, **options)
    return st.empty()


def _parts(experiment: Experiment) -> dict[str, object]:
    slots = {"instruction": _input(st.text_input, "Instruction", "instruction", placeholder=DEFAULT_INSTRUCTION)}
    slots["sentence"] = _sentence(experiment)
    slots["original"] = _original(state.experiment())
    return slots


def _sentence(experiment: Experiment) -> object:
    options = {"placeholder": DEFAULT_SENTENCE}
    show(st.text_input, "Sentence", "input_sentence", experiment.sentence, choosing.edit_sentence, **options)
    return st.empty()


def _original(experiment: Experiment) -> object:
    sentence = experiment.sentence
    all_words = words(sentence)
    options = list(range(min(len(all_words), MOST_WORDS)))
    current = {"original": experiment.original.strip(), "occurrence": experiment.occurrence}
    chosen = next((i for i in options if choose_word(sentence, i) == current), None)

    def pick(index: int | None) -> None:
        if index is not None:
            state.edit(**choose_word(sentence, index), answer="")

    # Pills of one label would be one pill: what tells them apart is not seen.
    label = lambda i: plain(all_words[i]) + "\u2060" * all_words[:i].count(all_words[i])  # noqa: E731
    title = "Original word: click it, or type it"
    show(st.pills, title, "pick_original", chosen, pick, options=options, format_func=label)
    show(
        st.text_input, "Original word", "input_original", experiment.original,
        lambda word: state.edit(original=word, occurrence=0),
        label_visibility="collapsed", placeholder="the word to be replaced",
    )  # fmt: skip
    return st.empty()


def _free_prompt() -> dict[str, object]:
    slots = {"prompt": _input(st.text_area, "Free prompt (exact text)", "prompt", height=160)}
    slots["original"] = _input(st.text_input, "Original (exact string, with its space)", "original")
    return slots


def _answer(experiment: Experiment) -> object:
    label = "Answer (exact string)" if experiment.is_free else "Answer: the replacement"
    return _input(st.text_input, label, "answer", placeholder="INSTRUCT's own suggestion")


def suggestions(slot, strings: tuple[str, ...]) -> None:
    """INSTRUCT's own next words, to click; drawn once they are known."""
    experiment = state.experiment()
    shown = list(dict.fromkeys(s if experiment.is_free else s.strip() for s in strings))
    current = experiment.answer if experiment.answer in shown else None
    show(
        slot.pills, "INSTRUCT suggests", "pick_answer", current, lambda answer: state.edit(answer=answer or ""),
        options=shown, format_func=quoted if experiment.is_free else plain,
    )  # fmt: skip


def _advanced(experiment: Experiment) -> list[str]:
    """Draw the section; returns the fields it edits."""
    if not experiment.is_free:
        st.button("Write a free prompt", on_click=_to_free_prompt, help="Any text, with exact answer and original")
    else:
        st.button("Back to instruction and sentence", on_click=_to_parts)
    _template(experiment)
    widgets.which_colon("Role “colon”", "input_colon")
    if experiment.picked is not None:
        st.caption(f"Followed token: position {experiment.picked}")
        st.button("Follow no token", on_click=lambda: state.edit(picked=None))
    dtypes = ["", *DTYPES]
    if experiment.dtype not in dtypes:
        dtypes.append(experiment.dtype)
    _input(st.selectbox, "dtype", "dtype", options=dtypes, format_func=lambda name: name or "auto", help=_AUTO)
    fields = ["template", "colon", "picked", "dtype"]
    return fields if experiment.is_free else ["prompt", *fields]


def _template(experiment: Experiment) -> None:
    why = _no_template(experiment)
    # A chat that a link asks for in vain must be left again.
    locked = bool(why) and experiment.template == "raw"
    _input(
        st.selectbox, "Chat template", "template", options=list(TEMPLATES), disabled=locked,
        format_func=lambda name: _TEMPLATES.get(name, name),
    )  # fmt: skip
    if why:
        st.caption(why)


def _no_template(experiment: Experiment) -> str:
    """Why no chat template can be chosen, as far as that is known; else ""."""
    if experiment.is_free:
        return "A free prompt is read as it stands: write a chat's special tokens into it."
    with suppress(InputError):
        # In a new tab, what another one has asked already.
        overview = on_screen() or service().known("overview", experiment)
        if overview and not overview.has_template and overview.pair == service().spec(experiment).id:
            return "This pair's INSTRUCT has no chat template."
    return ""


def _to_free_prompt() -> None:
    """Start from the text on screen, a chat template's included."""
    experiment = state.experiment()
    try:
        text = prompt_text(experiment)
        overview = service().known("overview", experiment)
        shown = overview.prompt.text if overview else text.text
        answer = text.answer or ""
        state.edit(prompt=shown, original=text.original, answer=answer, occurrence=0, template="raw")
    except InputError:
        state.edit(prompt=f"{experiment.instruction}: {experiment.sentence}", template="raw")


def _to_parts() -> None:
    experiment = state.experiment()
    state.edit(prompt="", original=experiment.original.strip(), answer=experiment.answer.strip())


def state_line(overview: Overview | None) -> str:
    """The line of state when nothing is under way: what the figures were computed with."""
    if overview is None:
        return "ready"
    seconds = overview.seconds
    took = f"{1000 * seconds['record']:.0f} ms for two forward passes" if seconds["record"] else "recorded before"
    dtype = f"{overview.dtype} on {overview.device}{_instead(overview)}"
    turns = "models take turns · " if overview.in_turns else ""
    template = "chat template · " if state.experiment().template == "chat" else ""
    return plain(f"{dtype} · {turns}{template}{len(overview.prompt.ids)} tokens · {took}")


def _instead(overview: Overview) -> str:
    """That nobody asked for this dtype, and why it was taken."""
    asked = state.experiment().dtype or service().settings.dtype
    if asked or overview.dtype == overview.own_dtype:
        return ""
    return f" (the pair's own {overview.own_dtype} is slower there)"
