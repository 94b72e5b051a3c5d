"""Widgets that show what the session holds."""

import streamlit as st

SENDS = 3


def mirror(key: str, value) -> None:
    """Let the widget `key`, drawn next, show `value` if that is not what it shows.

    A rerun drops what the run before it had not yet sent, so a new value is sent in several runs. Not in every run:
    that would overwrite what somebody is typing meanwhile.
    """
    sends = st.session_state.setdefault("sends", {})
    if st.session_state.get(key) != value:
        sends[key] = SENDS
    if sends.get(key, 0) > 0:
        sends[key] -= 1
        st.session_state[key] = value
