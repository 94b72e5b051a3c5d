"""The page's one poller."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

from pages.shared import watching


class Drawn(Exception):
    """The page is drawn anew."""


def test_a_tick_of_a_run_that_was_cut_short_draws_the_page_anew(monkeypatch):
    def unplaced() -> None:
        raise StreamlitInvalidLayoutContextError("the poller has no place here")

    def anew() -> None:
        raise Drawn

    monkeypatch.setattr(watching, "line", lambda text: None)
    monkeypatch.setattr(st, "session_state", SimpleNamespace(lines=[unplaced]))
    monkeypatch.setattr(st, "fragment", lambda tick, run_every: tick)
    monkeypatch.setattr(st, "rerun", anew)
    nothing = SimpleNamespace(answers={}, waiting=[], drawn={}, errors={}, compared=None)
    with pytest.raises(Drawn):
        watching.watch(nothing, "")
