"""Figures that a page has drawn before: built again only when something that they show has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import plotly.graph_objects as go
import streamlit as st


@contextmanager
def remembering() -> Iterator[None]:
    """Around a run of a page: what it draws is remembered for its next run, and nothing else is."""
    st.session_state.drawing = {}
    yield
    st.session_state.drawn = st.session_state.drawing


def once(key: str, build: Callable[[], go.Figure], *inputs: object) -> go.Figure:
    """The last figure under `key` if it was built from the same inputs: results by identity, plain values by value."""
    before, fig = st.session_state.get("drawn", {}).get(key, ((), None))
    if fig is None or len(before) != len(inputs) or not all(map(_same, before, inputs)):
        fig = build()
    st.session_state.drawing[key] = inputs, fig
    return fig


def _same(a: object, b: object) -> bool:
    return a is b or (isinstance(a, (str, int, float, tuple)) and type(a) is type(b) and a == b)
