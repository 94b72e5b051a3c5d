"""Patching: which components, taken from one model and put into the other, bring its behaviour with them."""

import streamlit as st

from pages.patching import score_map, sections, table
from pages.patching.board import board_of
from pages.shared.answers import ask, figures

answer = ask("overview")
board = board_of(answer)
st.subheader("What carries the rephrasing from one model into the other?")
with figures(answer):
    if board is None:
        st.info("The first figures appear once both models have run.")
    elif (plan := score_map.controls(board)) is not None:
        score_map.reading(plan)
        progress = score_map.progress(board, plan)
        score_map.score_map(board, plan)
        table.top_heads(board, plan)
        sections.section(board, plan)
        progress()
