"""The page's one poller."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

from cache.job import Job
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
    nothing = SimpleNamespace(
        answers={}, waiting=[None], drawn={}, errors={}, compared=None, outdated=[], has_more=lambda: False,
        is_over=lambda: True,
    )  # fmt: skip
    with pytest.raises(Drawn):
        watching.watch(nothing, "")


def test_a_page_that_waits_for_nothing_has_no_poller(monkeypatch):
    written = []
    monkeypatch.setattr(watching, "line", lambda text: written.append(text))
    monkeypatch.setattr(st, "session_state", SimpleNamespace(lines=[]))
    watching.watch(SimpleNamespace(answers={}, waiting=[], errors={}, compared=None), "")
    assert len(written) == 1


@pytest.mark.parametrize("outdated", [False, True])
def test_the_last_tick_writes_the_lines_and_ends_the_clock_unless_the_page_has_changed(monkeypatch, outdated):
    written, every, stopped = [], [], []

    def anew() -> None:
        raise Drawn

    def fragment(tick, run_every):
        every.append(run_every)
        return tick

    monkeypatch.setattr(watching, "line", lambda text: None)
    monkeypatch.setattr(watching, "_stop", lambda: stopped.append(1))
    monkeypatch.setattr(st, "session_state", SimpleNamespace(lines=[lambda: written.append(job.finished)]))
    monkeypatch.setattr(st, "fragment", fragment)
    monkeypatch.setattr(st, "rerun", anew)
    job = Job("continuation", lambda ctx: None, 0, lambda job: 0)
    page = SimpleNamespace(
        answers={}, waiting=[job], drawn={}, errors={}, compared=None, outdated=[lambda: outdated],
        has_more=lambda: False, is_over=lambda: job.finished,
    )  # fmt: skip
    monkeypatch.setattr(watching, "wait_until", lambda holds, timeout: job._end("done"))
    with pytest.raises(Drawn) if outdated else nullcontext():
        watching.watch(page, "")
    assert every == [watching.POLL]
    assert written == [True] and bool(stopped) != outdated
