"""What a page opens with: its answers, and figures that say when they are not of the current prompt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from cache.job import Job
from pages.shared.jobs import Answer

_STYLE = "<style>.st-key-figures {{ opacity: {opacity}; transition: opacity 0.15s; }}</style>"


def ask(question: str, **options) -> Answer | None:
    """The answer to a question of `cache.questions.catalogue`, fresh or the last good one; None while there is none."""
    return st.session_state.asking.ask(question, **options)


def follow(question: str, **options) -> Job | None:
    """The job of a question that takes long: its result, or what has run so far in `partial`."""
    return st.session_state.asking.follow(question, **options)


@contextmanager
def figures(*answers: Answer | None) -> Iterator[None]:
    """The figures of a page, dimmed while any of the answers is not of the current prompt."""
    stale = any(answer is not None and not answer.fresh for answer in answers)
    st.html(_STYLE.format(opacity=0.45 if stale else 1))
    with st.container(key="figures"):
        yield
