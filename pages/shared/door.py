"""What stands in place of the app for who is not let in."""

from __future__ import annotations

import streamlit as st

APP = "REPHRASE Circuit Explorer"
ICON = "🔁"


def door(title: str = APP) -> None:
    """The page's heading; its tab is named as the app's are, which the frame does only for those who are in."""
    st.set_page_config(page_title=APP, page_icon=ICON)
    st.title(title)
