"""The sidebar: what this is, and its pages."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from cache.questions.overview import Overview
from core.models.pairs import EMBEDDED
from pages.shared import presets, sign_in, stage, state
from pages.shared.service import service
from pages.shared.text import plain

_WHAT = """**REPHRASE Circuit Explorer**

Why does an instruction-tuned model write “swift” where its base model repeats “quick”? Type a sentence: both models
run, and every page shows where the two part."""
_POST = """It makes a live instrument of Karthik Viswanathan's post [The REPHRASE Circuit: How Fine-Tuning Enhances LLMs
to REPHRASE Text](https://www.lesswrong.com/posts/nYNjjCFmTMcKdCmHM) (LessWrong, 6 April 2025)."""


def sidebar(pages: Sequence[StreamlitPage]) -> None:
    with st.sidebar:
        st.markdown(_WHAT)
        address = state.address()
        with st.container(gap="xxsmall", key="pages"):
            for page in pages:
                st.page_link(page, query_params=address, width="stretch")
        st.markdown(f":small[{_POST}]")
        with st.container(horizontal=True, key="speaking"):
            st.button("Stage", on_click=stage.toggle, type="tertiary", icon=":material/slideshow:", key="enter_stage")
            presets.menu()
            sign_in.button(service().settings)
        st.caption("Press **P** for the stage, **?** for all keys.")


def on_stage(pages: Sequence[StreamlitPage]) -> None:
    """The pages in one line, without a sidebar."""
    address = state.address()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="stage_pages"):
        for page in pages:
            st.page_link(page, query_params=address, width="content")
        st.space("stretch")
        st.button("Leave", on_click=stage.toggle, type="tertiary", key="leave_stage", help="Leave the stage: P")


def state_line(overview: Overview | None) -> str:
    """The line of state when nothing is under way: what the figures were computed with."""
    if overview is None:
        return "ready"
    seconds = overview.seconds
    took = f"{_time(seconds['record'])} for two forward passes" if seconds["record"] else "recorded before"
    dtype = f"{overview.dtype} on {overview.device}{_instead(overview)}"
    turns = "models take turns · " if overview.in_turns else ""
    template = "chat template · " if state.experiment().template == "chat" else ""
    toy = "a toy pair, made for trying things out · " if overview.pair == EMBEDDED else ""
    return plain(f"{toy}{dtype} · {turns}{template}{len(overview.prompt.ids)} tokens · {took}")


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _instead(overview: Overview) -> str:
    """That nobody asked for this dtype, and why it was taken."""
    asked = state.experiment().dtype or service().settings.dtype
    if asked or overview.dtype == overview.own_dtype:
        return ""
    why = "is slower there" if overview.device == "cpu" else "is not what its kept answers are in"
    return f" (the pair's own {overview.own_dtype} {why})"
