"""Widgets that show what the session holds.

Where the session replaces what a widget shows, another widget takes its place, its key one generation on. So nothing
that a browser still sends of the old one can undo the replacement, and none of the messages between has to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
from streamlit.proto.WidgetStates_pb2 import WidgetState

from pages.shared import state
from pages.shared.service import run_context

_DEFAULT = {"pills": "default", "segmented_control": "default", "multiselect": "default"}


def show(kind: Callable, label: str, key: str, value: Any, change: Callable[[Any], None], **options) -> None:
    """Draw a widget of Streamlit's that shows `value`; `change` gets what the viewer makes of it."""
    generation = _replaced().get(key, (0,))[0]
    now = _key(key, generation)
    if now in st.session_state and st.session_state[now] != value:
        _replaced()[key] = generation + 1, st.session_state[now], change
        now = _key(key, generation + 1)
    if kind.__name__ == "selectbox":
        options["index"] = list(options["options"]).index(value)
    else:
        options[_DEFAULT.get(kind.__name__, "value")] = value
    kind(label, key=now, on_change=lambda: change(st.session_state[now]), **options)


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


def late_edits() -> None:
    """Take what was typed into a text box while the session's replacement for it was still on its way to the browser.

    Streamlit runs no callback for a widget that is not drawn any more. Call before any widget is drawn.
    """
    sent = run_context().session_state._state._new_widget_state.states
    replaced = _replaced()
    for key, (generation, shown, change) in list(replaced.items()):
        for widget, kept in list(sent.items()):
            if widget.endswith(f"-{_key(key, generation - 1)}") and (text := _text(kept)) not in (None, shown):
                replaced[key] = generation, text, change
                change(text)


def _text(kept: object) -> str | None:
    """The text that a browser has sent, as Streamlit keeps it while it does not know the widget."""
    sent = getattr(kept, "value", None)
    if isinstance(sent, WidgetState) and sent.WhichOneof("value") == "string_value":
        return sent.string_value
    return None


def _replaced() -> dict[str, tuple[int, Any, Callable[[Any], None]]]:
    """key → its generation, what the widget before it showed, and what is done with an edit."""
    return st.session_state.setdefault("replaced", {})


def _key(key: str, generation: int) -> str:
    return f"{key}__{generation}" if generation else key
