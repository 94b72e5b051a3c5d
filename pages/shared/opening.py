"""Going to another page from a callback, where Streamlit cannot switch pages: the next run of the frame does."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.shared import state


def go(page: str) -> None:
    """To the page of that address; for callbacks."""
    st.session_state.open_page = page


def turn(pages: Sequence[StreamlitPage], shown: StreamlitPage) -> None:
    """For the frame, once it knows which page is on."""
    asked = st.session_state.pop("open_page", None)
    page = next((each for each in pages if (each.url_path or "explore") == asked), None)
    if page is not None and page.url_path != shown.url_path:
        st.switch_page(page, query_params=state.address())
