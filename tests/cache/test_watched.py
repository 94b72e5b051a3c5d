"""The worker's thread ends although nobody told it to: what it ran fails, the queue goes on."""

from __future__ import annotations

import ctypes
import threading

import pytest

from cache.worker import Worker

SOON = 60.0


class Killed(BaseException):
    """As an extension would end the thread, from outside of what Python code catches in a job."""


@pytest.fixture
def worker():
    worker = Worker(alive_every=0.0)
    yield worker
    assert worker.stop(SOON)


def ask(worker, key, run, priority=0):
    return worker.submit(key, run, owner=key, group="group", priority=priority)


def killed_in(worker, monkeypatch, place: str) -> None:
    """The worker's own code raises at `place`, once."""
    plain, left = getattr(worker, place), [Killed()]

    def raising(*given):
        if left:
            raise left.pop()
        return plain(*given)

    monkeypatch.setattr(worker, place, raising)


@pytest.mark.parametrize(("place", "states"), [("_keep", ["failed", "done"]), ("_execute", ["done", "failed"])])
def test_the_others_questions_go_on_when_the_thread_ends_within_a_job(worker, monkeypatch, caplog, place, states):
    begun, gate = threading.Event(), threading.Event()

    def held(ctx):
        begun.set()
        return gate.wait(SOON)

    first = ask(worker, "first", held)
    assert begun.wait(SOON)
    second, third = (ask(worker, key, lambda ctx: "answer") for key in ("second", "third"))
    killed_in(worker, monkeypatch, place)
    gate.set()
    assert all(job.wait(SOON) for job in (first, second, third))
    assert [first.state, second.state] == states and third.result == "answer"
    assert "the thread 'worker' ended" in caplog.text and "Killed" in caplog.text
    assert worker.status().running == ()


def test_a_thread_that_is_ended_from_outside_is_followed_by_another(worker):
    begun = threading.Event()

    def ends(ctx):
        begun.set()
        identity = ctypes.c_ulong(threading.get_ident())
        ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(SystemExit))
        return "not lost"

    first = ask(worker, "first", ends)
    assert first.wait(SOON) and begun.wait(SOON)
    assert ask(worker, "second", lambda ctx: "second").wait(SOON)


def test_of_nested_jobs_both_fail_and_can_be_asked_again(worker, monkeypatch):
    killed = [True]
    plain = worker._keep

    def raising(job, *given):
        if killed and job.key == "inner":
            killed.pop()
            raise Killed
        return plain(job, *given)

    monkeypatch.setattr(worker, "_keep", raising)
    asked = {}

    def outer(ctx):
        if "inner" not in asked:
            asked["inner"] = ask(worker, "inner", lambda ctx: "inner", priority=1)
        ctx.checkpoint()
        return "outer"

    job = ask(worker, "outer", outer)
    assert job.wait(SOON) and job.state == "failed"
    assert asked["inner"].wait(SOON) and "try it again" in str(asked["inner"].error)
    again = ask(worker, "outer", outer)
    assert again.wait(SOON) and again.result == "outer"
