"""Widgets that show what the session holds.

Where the session replaces what a widget shows, another widget takes its place, its key one generation on. So nothing
that a browser still sends of the old one can undo the replacement, and none of the messages between has to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from pages.shared import state

Change = Callable[[Any], None]
_DEFAULT = {"pills": "default", "segmented_control": "default", "multiselect": "default"}


def show(kind: Callable[..., Any], label: str, key: str, value: Any, change: Change, **options: Any) -> None:
    """Draw a widget of Streamlit's that shows `value`; `change` gets what the viewer makes of it."""
    generation = _replaced().get(key, (0, None))[0]
    now = _key(key, generation)
    if now in st.session_state and st.session_state[now] != value:
        _replaced()[key] = generation + 1, st.session_state[now]
        now = _key(key, generation + 1)
    if kind.__name__ == "selectbox":
        options["index"] = list(options["options"]).index(value)
    else:
        options[_DEFAULT.get(kind.__name__, "value")] = value
    kind(label, key=now, on_change=lambda: _changed(key, now, change), **options)


def _changed(key: str, widget: str, change: Change) -> None:
    """A widget's callback. One that has been replaced still reports what it showed: only something else is an edit."""
    generation, shown = _replaced().get(key, (0, None))
    value = st.session_state[widget]
    if widget == _key(key, generation) or widget == _key(key, generation - 1) and value != shown:
        change(value)


def choice(kind: Callable, label: str, name: str, options: Mapping[str, str], **widget) -> str:
    """A widget on a parameter of the view; a value that the address names but nobody offers becomes the first."""
    value = state.view(name) if state.view(name) in options else next(iter(options))
    change = lambda chosen: state.set_view(name, chosen)  # noqa: E731
    show(kind, label, f"input_{name}", value, change, options=list(options), format_func=options.get, **widget)
    return value


def which_colon(label: str, key: str) -> None:
    """Which token with ":" has the role colon."""
    chosen = "second" if state.experiment().colon else "first"
    change = lambda which: state.edit(colon=int(which == "second"))  # noqa: E731
    show(st.segmented_control, label, key, chosen, change, options=["first", "second"], required=True)


def _replaced() -> dict[str, tuple[int, Any]]:
    """key → its generation, and what the widget of the one before showed."""
    replaced: dict[str, tuple[int, Any]] = st.session_state.setdefault("replaced", {})
    return replaced


def _key(key: str, generation: int) -> str:
    return f"{key}__{generation}" if generation else key
