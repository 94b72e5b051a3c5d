"""The first thing on every page: what its numbers say, in one sentence, with its terms one hover away."""

from __future__ import annotations

import streamlit as st

from pages.shared.text import plain
from pages.shared.watching import Text, line


def finding(sentence: str | Text, terms: str) -> None:
    """sentence: or what makes it anew while jobs run; terms: the definitions of its words."""
    with st.container(key="finding"):
        if callable(sentence):
            line(lambda: plain(sentence()), terms)
        else:
            st.markdown(plain(sentence), help=terms)
