"""Figures that fill while their patches run: the line that says how far they are, and the button that stops them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.asking import Answer, again, follow, followed, stop
from pages.shared.figures import figures
from pages.shared.text import plain
from pages.shared.watching import line, progress_line


def filled(overview: Answer, asked: list[tuple[str, dict[str, Any]]], draw: Callable[..., None]) -> None:
    """Draw from the answers, or from what there is of them; the page is drawn anew when there is more."""
    answers = [follow(overview, question, **options) for question, options in asked]
    line(lambda: state(answers))
    with figures(*answers, key="section"):
        draw(*(answer.value for answer in answers))


def state(answers: list[Answer]) -> str:
    """Whether all of it has run, else what is being done for it."""
    if all(answer.job is not None and answer.job.state == "done" for answer in answers):
        return ":small[:green[:material/check_circle:] all exact]"
    running = [answer.job for answer in answers if answer.job and answer.running and answer.fresh]
    waits = plain(progress_line(running[0])) if running else "not all of it has been computed"
    return f":small[:material/hourglass_top: {waits}]"


def stop_button(place: DeltaGenerator) -> None:
    """Stops what the page follows, or has it run again; call it once all is asked."""
    answers = followed()
    running = [answer for answer in answers if answer.running]
    with place:
        if not running and any(answer.stopped for answer in answers):
            icon = ":material/play_arrow:"
            st.button("Run again", on_click=again, args=(answers,), icon=icon, key="run_sweep")
        else:
            can_stop = [answer for answer in running if answer.fresh and not answer.stopped]
            icon = ":material/stop:"
            st.button("Cancel", on_click=stop, args=(can_stop,), disabled=not can_stop, icon=icon, key="stop_sweep")
