"""The prompt bar on top of every page: the experiment as it is read and edited, what is wrong beside it.

Its rows: instruction and sentence, or a free prompt; the sentence's words, original → answer and what INSTRUCT
suggests; examples, steps back, the link, settings. What is known only after the answer has its place from the start,
so that nothing below moves when it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.questions.catalogue import QUESTIONS
from core.cautions import Caution, cautions
from core.choice import chosen_word
from core.examples import INSTRUCTIONS, next_sentence, task_of
from core.experiment import DEFAULT_INSTRUCTION, DEFAULT_SENTENCE, Experiment, choose_word, occurrences, words
from core.wording import word
from pages.shared import choosing, comparing, free_prompt, pair, settings_menu, stage, stale, state
from pages.shared.asking import Answer, Asking
from pages.shared.link_button import link_button
from pages.shared.service import service
from pages.shared.shortcuts import Shortcut
from pages.shared.text import plain, quoted
from pages.shared.widgets import show

MOST_WORDS = 60
_OWN = "INSTRUCT's own"  # what stands for an answer that nobody has typed
SHORTCUTS = (Shortcut("u", "undo the last edit", state.undo),)
Slots = dict[str, DeltaGenerator]

_CSS = """
.st-key-prompt_bar { padding: .4rem .8rem .5rem; }
.st-key-prompt_bar label p { font-size: .78rem; }
.st-key-prompt_bar [data-testid=stWidgetLabel] { min-height: 1.1rem; margin-bottom: 0; }
.st-key-prompt_bar [data-baseweb=base-input] input { padding-block: .3rem; }
.st-key-prompt_bar [data-testid=stTextInputRootElement] { height: 2.1rem; min-height: 2.1rem; }
.st-key-prompt_bar [data-testid=stAlertContainer] { padding: .3rem .7rem; min-height: 0; }
.st-key-prompt_bar [data-testid^=stBaseButton-pills] { min-height: 1.7rem; padding: 0 .35rem; }
.st-key-prompt_bar [data-testid^=stBaseButton-pills] p { font-size: .85rem; }
.st-key-prompt_bar button[data-testid=stBaseButton-tertiary] { min-height: 1.7rem; }
[class*=st-key-pick_original] { max-height: 6.7rem; overflow-y: auto; }
/* Before a widget's code has come, its place is as high as it will be. */
.st-key-prompt_bar [data-testid=stSkeleton] { height: 2rem; }
.st-key-prompt_bar [data-testid=stColumn] { min-height: 3.6rem; }
.st-key-words { min-height: 2.15rem; }
.st-key-actions { min-height: 2.55rem; }
/* What does not fit is on a line that is not seen: nothing moves when there are more of them. */
.st-key-suggested { flex: none; height: 2.1rem; overflow: hidden; }
@media (max-width: 899px) {
  /* Original and answer beside each other, below. */
  [class*=st-key-pick_original] { flex: 1 1 100%; }
}
@media (min-width: 641px) {
  .st-key-words > [data-testid=stLayoutWrapper] { flex: 1 1 0; min-width: 8rem; }
}
@media (min-width: 641px) and (max-width: 899px) and (max-height: 600px) {
  /* A window of 1280 × 720 at 150%. */
  .st-key-words, .st-key-actions { row-gap: .2rem; }
}
@media (min-width: 900px) {
  .st-key-words, .st-key-actions { flex-wrap: nowrap; }
  /* As wide for every sentence: what stands beside it keeps its place. */
  [class*=st-key-pick_original] { flex: 0 0 46%; }
}
"""
# A low screen and the stage have no room for a second row of words: the one moves sideways, at first to the original.
_ONE_ROW = """[class*=st-key-pick_original] { scrollbar-width: thin; scroll-padding-inline-start: 10rem; }
[class*=st-key-pick_original] :has(> button) { flex-wrap: nowrap; }
[class*=st-key-pick_original] button { flex: none; }
[class*=st-key-pick_original] button[aria-checked=true] { scroll-initial-target: nearest; }"""
_MARK = "<style>[class*=st-key-input_{field}] [data-testid$=Element] {{ border-color: #d9364a !important }}</style>"


def style() -> str:
    screen = "(min-width: 900px)" if stage.on() else "(min-width: 641px) and (max-height: 800px)"
    return f"{_CSS}@media {screen} {{ {_ONE_ROW} }}"


def bar() -> Slots:
    """Draw the inputs; returns for each field the place beside it for what is wrong, and that of the suggestions."""
    experiment = state.experiment()
    slots: Slots = {}
    with st.container(key="prompt_bar", border=True, gap="xsmall"):
        slots |= _free_prompt() if experiment.is_free else _parts()
        with st.container(key="words", horizontal=True, vertical_alignment="center", gap="small"):
            if not experiment.is_free:
                _words(experiment)
            _original(experiment)
            st.markdown("→", width="content")
            if stage.on() and not experiment.is_free:
                slots["answer_box"] = st.container(key="answer_box", width="content")
            else:
                _answer(experiment)
            slots["suggestions"] = st.container(key="suggested", width="content")
        if stage.on():
            return slots | _on_stage()
        slots["original"] = slots["answer"] = slots["words"] = st.container(key="words_told", gap="xsmall")
        with st.container(key="actions", horizontal=True, vertical_alignment="center", gap="small"):
            if not experiment.is_free:
                _examples(experiment)
            _steps()
            slots["history"] = st.container(key="history", width="content")
            comparing.button()
            link_button()
            settings_menu.menu(experiment)
        # Below the menu, which may be closed.
        slots["settings"] = st.container(key="settings_told", gap="xsmall")
    return slots


def _on_stage() -> Slots:
    """Where all that is wrong is told, and what else is to be known: both over the page."""
    told, below, history = (st.container(key=key) for key in ("told", "cautions", "history"))
    fields = ("instruction", "sentence", "prompt", "original", "answer")
    return {**dict.fromkeys(fields, told), "words": below, "settings": below, "history": history}


def begin(slots: Slots, asking: Asking) -> None:
    """Before the page: on the stage the answer's box, which shows INSTRUCT's own where nobody has typed one."""
    if "answer_box" in slots:
        overview = asking.ask("overview")
        own = word(overview.result.prompt.answer) if overview.fresh and overview.result else _OWN
        with slots["answer_box"]:
            _answer(state.experiment(), own)


def finish(slots: Slots, asking: Asking) -> None:
    """What is known only after the answer: INSTRUCT's suggestions, and each message beside the input that caused it."""
    overview = asking.ask("overview")
    if overview.result and overview.result.summary.suggestions:
        with slots["suggestions"]:
            _suggestions(overview)
    pair.precision(slots["settings"], asking)
    for field, message in asking.errors.items():
        with slots.get(field, slots["settings"]):
            st.html(_MARK.format(field=field) if field.isalpha() else "")
            st.error(plain(message[:1].upper() + message[1:]))
            stale.ways_out(field)
            if field == "picked":
                st.button("Follow no token", on_click=lambda: state.edit(picked=None), key="unpick_refused")
    if not asking.errors and overview.fresh and overview.result:
        _cautions(slots["words"], overview, asking)


def _input(kind: Callable[..., Any], label: str, name: str, change: Callable[[Any], None], **options: Any) -> None:
    show(kind, label, f"input_{name}", getattr(state.experiment(), name), change, **options)


def _set(name: str) -> Callable[[Any], None]:
    return lambda value: state.edit(**{name: value})


def _parts() -> Slots:
    # On the stage each has the whole width.
    columns = [st.container(), st.container()] if stage.on() else st.columns([4, 5], gap="small")
    slots: Slots = {}
    with columns[0]:
        _input(st.text_input, "Instruction", "instruction", _set("instruction"), placeholder=DEFAULT_INSTRUCTION)
        slots["instruction"] = st.container(key="instruction_told")
    with columns[1]:
        _input(st.text_input, "Sentence", "sentence", choosing.edit_sentence, placeholder=DEFAULT_SENTENCE)
        slots["sentence"] = st.container(key="sentence_told")
    return slots


def _free_prompt() -> Slots:
    _input(st.text_area, "Free prompt (exact text)", "prompt", free_prompt.edit, height=100)
    return {"prompt": st.container(key="prompt_told")}


def _words(experiment: Experiment) -> None:
    """The sentence's words, the original marked, to click."""
    sentence, all_words = experiment.sentence, words(experiment.sentence)
    options = list(range(min(len(all_words), MOST_WORDS)))
    chosen = chosen_word(experiment)

    def pick(index: int | None) -> None:
        if index is not None:
            state.edit(**choose_word(sentence, index), answer="")

    # Pills of one label would be one pill: what tells them apart is not seen.
    label = lambda i: plain(all_words[i]) + "\u2060" * all_words[:i].count(all_words[i])  # noqa: E731
    show(
        st.pills, "The word that is replaced", "pick_original", chosen if chosen in options else None, pick,
        options=options, format_func=label, label_visibility="collapsed", width="content", wrap=True,
    )  # fmt: skip


def _original(experiment: Experiment) -> None:
    if experiment.is_free:
        label = "Original (exact string, with its space)"
        _input(st.text_input, label, "original", stale.typed("original"), width=230)
        return

    def typed(word: str) -> None:
        if not word.strip():
            choosing.choose_itself()
            return
        starts = occurrences(experiment.sentence, word.strip())
        state.edit(original=word, occurrence=int(len(starts) > 1), answer="")

    options: dict[str, Any] = {"label_visibility": "collapsed", "width": _wide(), "placeholder": "INSTRUCT's choice"}
    _input(st.text_input, "Original word", "original", typed, **options)


def _answer(experiment: Experiment, own: str = _OWN) -> None:
    if experiment.is_free:
        _input(st.text_input, "Answer (exact string)", "answer", stale.typed("answer"), width=230, placeholder=own)
    else:
        options: dict[str, Any] = {"label_visibility": "collapsed", "width": _wide(), "placeholder": own}
        _input(st.text_input, "Answer: the replacement", "answer", _set("answer"), **options)


def _wide() -> int:
    """Of a box for one word, in px."""
    return stage.pixels(11.25 if stage.on() else 7.5)


def _suggestions(overview: Answer) -> None:
    """INSTRUCT's own next words, to click; marked is the one that is compared. Those of another prompt, which the last
    good figures are of, are shown and cannot be chosen; a refused answer is mended by a click on one."""
    prompt, strings, free = overview.result.prompt, overview.result.summary.suggestions, state.experiment().is_free
    # A piece of a character is an answer that nobody could type, or read.
    whole = [string for string in strings if "\ufffd" not in string]
    shown = list(dict.fromkeys(string if free else string.strip() for string in whole))
    answer = state.experiment().answer or (prompt.answer if free else prompt.answer.strip())
    show(
        st.pills, "INSTRUCT suggests", "pick_answer", answer if answer in shown else None,
        lambda picked: state.edit(answer=picked or ""), options=shown, format_func=quoted if free else plain,
        label_visibility="collapsed", width="content", wrap=True, disabled=not _of_this_prompt(overview),
    )  # fmt: skip


def _of_this_prompt(overview: Answer) -> bool:
    """Whether it is of the text on screen, whatever the candidates."""
    read = QUESTIONS["continuation"].matters
    return read(overview.asked.experiment) == read(overview.wanted.experiment)


def _cautions(slot: DeltaGenerator, overview: Answer, asking: Asking) -> None:
    """What stands beside figures that are right, of a question that may be the wrong one."""
    experiment = state.experiment()

    def found() -> tuple[Caution, ...]:
        written = service().known("continuation", experiment, model="instruct") or ""
        return cautions(experiment, overview.result.prompt, written)

    shown = found()
    asking.outdated.append(lambda: found() != shown)
    with slot:
        for caution in shown:
            st.caption(f":orange[:material/warning:] {plain(caution.message[:1].upper() + caution.message[1:])}.")


def _examples(experiment: Experiment) -> None:
    """An instruction for each task, and sentences: each leaves the word to INSTRUCT."""

    def take(task: str | None) -> None:
        if task is not None:
            choosing.choose_itself(instruction=INSTRUCTIONS[task])

    show(
        st.pills, "Example instructions", "pick_task", task_of(experiment.instruction), take,
        options=list(INSTRUCTIONS), format_func=str.capitalize, label_visibility="collapsed", width="content",
        wrap=True,
    )  # fmt: skip
    following = next_sentence(experiment.pair, experiment.sentence)
    go_on = lambda: choosing.choose_itself(sentence=following)  # noqa: E731
    st.button("Another sentence", on_click=go_on, type="tertiary", help=plain(following))


def _steps() -> None:
    """Steps back: to the experiment before, and to the post's."""
    st.space("stretch")
    st.button("Undo", on_click=state.undo, disabled=not state.past(), type="tertiary", key="undo")
    st.button("Reset", on_click=state.reset, type="tertiary", key="reset", help="The post's prompt on this pair")
