"""Widgets that show what the session holds."""

from collections.abc import Mapping

import streamlit as st

from pages.shared import state

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


def choice(kind, label: str, name: str, options: Mapping[str, str], **widget) -> str:
    """A widget on a parameter of the view; a value that the address names but nobody offers becomes the first."""
    key = f"input_{name}"
    value = state.view(name) if state.view(name) in options else next(iter(options))
    mirror(key, value)
    change = lambda: state.set_view(name, st.session_state[key])  # noqa: E731
    kind(label, list(options), key=key, on_change=change, format_func=options.get, **widget)
    return value
