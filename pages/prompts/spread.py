"""Every prompt of the set: BASE against INSTRUCT, how they spread, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.questions.overview import Overview
from core.charts.sets import set_scatter, set_spread
from core.set_findings import of_set
from core.sets import definitions
from core.sets.results import SetResult
from core.wording import word
from pages.prompts.choosing import Chosen, viewed
from pages.shared import opening, stage, state
from pages.shared.asking import Answer, follow, so_far
from pages.shared.figures import figure, figures
from pages.shared.filling import state as filling_state
from pages.shared.filling import stop_button
from pages.shared.finding import finding
from pages.shared.service import owner, service
from pages.shared.watching import line


def ask_for(overview: Answer, chosen: Chosen, **options: Any) -> Answer:
    """What there is of the set, with what is swept beside."""
    return follow(overview, "prompt_set", rows=chosen.text, **options)


def found(answer: Answer) -> Callable[[], str]:
    """What the set says so far."""

    def said() -> str:
        result: SetResult | None = so_far(answer.job) or answer.value
        if result is not None:
            return of_set(result)
        failed = answer.failure is not None
        return "No prompt of the set was run." if failed else "Both models are being run on every prompt of the set."

    return said


def progress(place: DeltaGenerator) -> Callable[[list[Answer]], None]:
    """The line of what has run, with its button; call what is returned with all that has been asked."""
    with place, st.container(horizontal=True, vertical_alignment="center", key="set_progress"):
        said = st.container(width="stretch")
        button = st.container(width="content")

    def last(answers: list[Answer]) -> None:
        with said:
            line(lambda: filling_state(answers))
        stop_button(button)

    return last


def first(answers: list[Answer]) -> None:
    """While these run, what else this tab has asked of sets stops: looked at again, it goes on where it was."""
    shown = {answer.job for answer in answers if answer.job is not None}
    others = [job for job in st.session_state.get("set_jobs", ()) if job not in shown and not job.finished]
    if any(answer.running for answer in answers):
        for job in others:
            service().worker.cancel(job.key, owner())
    st.session_state.set_jobs = [*others, *shown]


def prompts(overview: Answer, chosen: Chosen, answer: Answer) -> None:
    """The scatter and the spread, beside each other."""
    result: SetResult | None = answer.value
    with figures(answer, key="set"):
        if result is None or not result.ran:
            if answer.failure is None:
                st.info("The first prompts appear in a moment.")
            return
        left, right = st.columns([3, 2], gap="medium")
        with left:
            fig = set_scatter(result.logit_diff, [_named(row) for row in result.ran], _mean(result))
            read = "Above the dotted line INSTRUCT prefers the replacement more. Click a prompt to open it in Explore."
            chooses = partial(open_prompt, result)
            figure(fig, "set_scatter", read, definitions.SET, result.to_frame, chooses=chooses, of=named(chosen))
        with right:
            fig = set_spread(result.logit_diff)
            read = "Above 0 a model prefers the replacement; dashed: the means."
            figure(fig, "set_spread", read, definitions.SET, _summary(result), of=named(chosen))


def named(chosen: Chosen) -> dict[str, object]:
    """A set as a download is labelled by it."""
    return {"set": chosen.name}


def _summary(result: SetResult) -> pd.DataFrame:
    assert result.averages is not None, "a prompt has run"
    return result.averages.summary_frame()


def _mean(result: SetResult):
    return None if result.averages is None else result.averages.summary["logit_diff"]


def _named(row: Any) -> str:
    return f"{row.entry.sentence} ({row.entry.original} → {word(row.answer)})"


def open_prompt(result: SetResult, carried: Sequence[int]) -> None:
    """A clicked prompt becomes the experiment, and Explore shows it."""
    row = result.ran[carried[0]]
    state.take(row.entry.experiment(state.experiment(), word(row.answer, 100)))
    opening.go("explore")


def on_stage(overview: Answer) -> None:
    """What the set says, and its scatter."""
    given: Overview = overview.result
    chosen = viewed(given)
    if chosen is None:
        return
    answer = ask_for(overview, chosen)
    with figures(answer, key="finding"):
        finding(found(answer), definitions.SET)
    result = answer.value
    with figures(answer, key="set"):
        if result is not None and result.ran:
            fig = set_scatter(result.logit_diff, [_named(row) for row in result.ran], _mean(result), size=stage.size())
            figure(fig, "set_scatter", "", definitions.SET, result.to_frame, chooses=partial(open_prompt, result))
