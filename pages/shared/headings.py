"""A page's one heading of the first level, those of its parts, and what the browser's tab is called."""

from __future__ import annotations

import streamlit as st

from core.wording import visible, word
from pages.shared.asking import Answer
from pages.shared.door import APP


def heading(text: str) -> None:
    """The question that a page answers, in Markdown; once a page."""
    st.title(text, anchor=False)


def part(text: str) -> None:
    """What a part of a page shows, in Markdown."""
    st.header(text, anchor=False)


def tab_title(page: str, *overviews: Answer) -> str:
    """“Patching · quick → swift · REPHRASE Circuit Explorer”: tabs and bookmarks of several prompts are told apart.

    overviews: of the prompt on screen; of both, A's first, where two are compared.
    """
    about = " | ".join(filter(None, map(_about, overviews)))
    return " · ".join(filter(None, (page, about, APP)))


def _about(overview: Answer) -> str:
    if overview.fresh and overview.result is not None:
        prompt = overview.result.prompt
        return f"{word(prompt.original)} → {word(prompt.answer)}"
    experiment = overview.wanted.experiment
    words = [visible(text.strip()) for text in (experiment.original, experiment.answer) if text.strip()]
    return " → ".join(words)
