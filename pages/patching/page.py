"""Patching: which components, taken from one model and put into the other, bring its behaviour with them."""

import streamlit as st

from pages.patching import parts, sections, table
from pages.patching.board import board_of
from pages.shared.answers import ask, figures

answer = ask("overview")
board = board_of(answer)
st.subheader("What carries the rephrasing from one model into the other?")
with figures(answer):
    if board is None:
        st.info("The first figures appear once both models have run.")
    elif (plan := parts.controls(board)) is not None:
        parts.reading(plan)
        progress = parts.progress(board, plan)
        parts.score_map(board, plan)
        table.top_heads(board, plan)
        sections.section(board, plan)
        progress()
