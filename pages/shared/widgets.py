"""Widgets that show what the session holds."""

import time
from collections.abc import Callable, Mapping

import streamlit as st

from pages.shared import state

SENDS = 3
ECHO = 0.5  # seconds in which the browser may still send the value that was replaced


def mirror(key: str, value) -> None:
    """Let the widget `key`, drawn next, show `value` if that is not what it shows.

    A rerun drops what the run before it had not yet sent, so a new value is sent in several runs. Not in every run:
    that would overwrite what somebody is typing meanwhile.
    """
    sends = st.session_state.setdefault("sends", {})
    if st.session_state.get(key) != value:
        sends[key] = SENDS
        if key in st.session_state:
            st.session_state.setdefault("replaced", {})[key] = st.session_state[key], time.monotonic()
    if sends.get(key, 0) > 0:
        sends[key] -= 1
        st.session_state[key] = value


def edited(key: str, change: Callable[[], None]) -> Callable[[], None]:
    """A mirrored widget's callback: `change`, unless a rerun that was under way only brings back what was replaced."""

    def call() -> None:
        old, when = st.session_state.get("replaced", {}).get(key, (None, 0.0))
        if st.session_state[key] != old or time.monotonic() - when > ECHO:
            change()

    return call


def choice(kind, label: str, name: str, options: Mapping[str, str], **widget) -> str:
    """A widget on a parameter of the view; a value that the address names but nobody offers becomes the first."""
    key = f"input_{name}"
    value = state.view(name) if state.view(name) in options else next(iter(options))
    mirror(key, value)
    change = lambda: state.set_view(name, st.session_state[key])  # noqa: E731
    kind(label, list(options), key=key, on_change=edited(key, change), format_func=options.get, **widget)
    return value
