"""How long a plan has still to run: from what its rows cost, and from how fast others have run."""

from __future__ import annotations

import numpy as np
import pytest

from cache import pace
from cache.pace import Ahead, Pace
from core.patching.cost import Cost


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only by hand."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


def test_nothing_is_said_before_anything_ran_and_of_less_than_a_minute(clock):
    assert Ahead(Pace(), Cost(np.full(10, 100.0))).said(0) == ""
    assert Ahead(Pace(0.05), Cost(np.full(10, 100.0))).said(0) == ""


def test_a_plan_says_before_it_starts_how_long_it_takes_at_the_pace_of_others(clock):
    assert Ahead(Pace(0.12), Cost(np.full(10, 100.0))).said(0) == " (about 2 min left)"
    assert Ahead(Pace(0.12), Cost(np.full(10, 100.0), exact=False)).said(0) == " (at most 2 min left)"


def test_its_own_chunks_teach_it_and_the_next_plan_better(clock):
    known = Pace()
    ahead = Ahead(known, Cost(np.array([300.0, 100.0, 200.0, 400.0])))
    clock(60)
    ahead.ended(2)  # the two that cost least
    assert known.seconds == pytest.approx(60 / 300)
    assert ahead.said(2) == " (about 2 min left)" and ahead.said(4) == ""
    assert Ahead(known, Cost(np.array([600.0]))).said(0) == " (about 2 min left)"


def test_time_given_to_others_between_two_chunks_does_not_count(clock):
    known = Pace()
    ahead = Ahead(known, Cost(np.full(4, 100.0)))
    clock(10)
    ahead.ended(1)
    clock(1000)
    ahead.goes_on()
    clock(10)
    ahead.ended(2)
    assert known.seconds == pytest.approx(20 / 200)


def test_what_had_run_before_a_plan_was_broken_off_teaches_nothing(clock):
    known = Pace()
    ahead = Ahead(known, Cost(np.full(4, 100.0)), done=3)
    ahead.ended(3)
    assert np.isnan(known.seconds)
    clock(30)
    ahead.ended(4)
    assert known.seconds == pytest.approx(30 / 100)


def test_a_much_smaller_plan_and_one_of_unknown_cost_do_not_teach_the_others(clock):
    known = Pace()
    for cost, exact in ((1000.0, True), (100.0, True), (5000.0, False)):
        ahead = Ahead(known, Cost(np.array([cost]), exact))
        clock(100)
        ahead.ended(1)
    assert known.seconds == pytest.approx(0.1)
