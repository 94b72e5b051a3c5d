"""Readiness: whether the worker answers, and not only whether the server lives."""

from __future__ import annotations

import threading

import pytest

from cache.pulse import Pulse
from cache.worker import Worker

SOON = 60.0


@pytest.fixture
def held(worker):
    """A job that has the thread until the event is set."""
    begun, gate = threading.Event(), threading.Event()

    def run(ctx):
        begun.set()
        return gate.wait(SOON)

    worker.submit("held", run, owner="me", group="group", priority=5)
    assert begun.wait(SOON)
    yield gate
    gate.set()


def test_a_worker_that_answers_is_ready_and_one_that_never_has_is_not(worker, held):
    pulse = Pulse(worker)
    assert not pulse.beats(0.01)
    held.set()
    assert pulse.beats(SOON) and pulse.beats(SOON)


def test_a_worker_that_is_busy_for_a_while_stays_ready_but_not_for_ever(worker):
    patient, impatient = Pulse(worker), Pulse(worker, patience=0.0)
    assert patient.beats(SOON)
    begun, gate = threading.Event(), threading.Event()
    worker.submit("busy", lambda ctx: (begun.set(), gate.wait(SOON)), owner="me", group="group")
    assert begun.wait(SOON)
    assert patient.beats(0.01) and not impatient.beats(0.01)
    gate.set()


def test_asked_a_hundred_times_a_busy_worker_has_one_question_more(worker, held):
    pulse = Pulse(worker)
    for _ in range(100):
        pulse.beats(0.0)
    assert worker.status().queued == 1


def test_a_worker_that_has_ended_is_not_ready():
    worker = Worker()
    pulse = Pulse(worker)
    assert pulse.beats(SOON)
    assert worker.stop(SOON) and not pulse.beats(SOON)
