"""How jobs end: their owners gone, an error in them, the worker stopped; and that nothing of them stays in memory."""

import gc
import logging
import weakref

import pytest

from cache.worker import Worker
from tests.cache.jobs import SOON, ask, ended, hold


def test_a_departed_owners_job_never_runs():
    here = {"holder", "reader"}
    worker = Worker(alive=here.__contains__)
    gate, _ = hold(worker)
    gone = ask(worker, "gone", lambda ctx: pytest.fail("ran for nobody"), owner="departed")
    shared = ask(worker, "shared", owner="departed")
    ask(worker, "shared", owner="reader")
    gate.open.set()
    assert ended(gone) == "cancelled" and ended(shared) == "done"
    assert worker.stop(SOON)


def test_a_running_job_stops_when_its_last_owner_departs():
    here = {"holder"}
    worker = Worker(alive=here.__contains__, alive_every=0.0)
    gate, job = hold(worker)
    here.clear()
    gate.open.set()
    assert ended(job) == "cancelled" and gate.stopped
    assert worker.stop(SOON)


def test_checkpoints_ask_for_an_owner_no_more_often_than_agreed():
    asked = []
    worker = Worker(alive=lambda owner: asked.append(owner) or True, alive_every=60.0)
    assert ended(ask(worker, "key", lambda ctx: [ctx.checkpoint() for _ in range(100)] and None)) == "done"
    assert asked == ["owner"]
    assert worker.stop(SOON)


def test_an_owner_is_taken_to_be_there_when_nobody_can_tell():
    worker = Worker(alive=lambda owner: 1 / 0, alive_every=0.0)
    assert ended(ask(worker, "key", lambda ctx: ctx.checkpoint())) == "done"
    assert worker.stop(SOON)


def test_a_failure_is_logged_with_its_key_kept_on_the_job_and_tried_again_when_asked(worker, caplog):
    runs = []

    def failing(ctx):
        ctx.publish("half")
        runs.append(1)
        raise ValueError("' swift-footed' is 3 tokens")

    with caplog.at_level(logging.ERROR):
        job = ask(worker, ("experiment", 7), failing)
        assert ended(job) == "failed" and "3 tokens" in str(job.error) and job.partial.result == "half"
    assert "('experiment', 7)" in caplog.text and "Traceback" in caplog.text
    assert ended(ask(worker, ("experiment", 7), failing)) == "failed" and len(runs) == 2


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_the_thread_outlives_whatever_a_job_raises(worker, raised):
    def failing(ctx):
        raise raised

    job = ask(worker, "bad", failing)
    assert ended(job) == "failed" and isinstance(job.error, raised)
    assert ended(ask(worker, "good")) == "done"


class Heavy:
    """Stands for a model: a weak reference shows whether anybody still holds it."""


def test_a_failed_job_does_not_hold_on_to_what_it_worked_with(worker):
    held = []

    def failing(ctx, model=None):
        model = Heavy()
        held.append(weakref.ref(model))
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    job = ask(worker, "key", failing)
    assert ended(job) == "failed"
    gc.collect()
    assert held[0]() is None and job.error.__cause__ is not None


def test_a_job_that_a_page_holds_does_not_hold_on_to_its_function(worker):
    model = Heavy()
    held = weakref.ref(model)
    job = ask(worker, "key", lambda ctx, model=model: "answer")
    del model
    assert ended(job) == "done" and ended(ask(worker, "next")) == "done"
    gc.collect()
    assert held() is None and job.result == "answer"


def test_an_idle_worker_holds_neither_the_last_job_nor_its_function():
    worker = Worker(results_bytes=0)
    model = Heavy()
    held = weakref.ref(model)
    job = ask(worker, "key", lambda ctx, model=model: model)
    assert ended(job) == "done" and job.result is model
    del job, model
    assert ended(ask(worker, "next")) == "done"
    gc.collect()
    assert held() is None
    assert worker.stop(SOON)


def test_stopping_cancels_what_is_left_and_refuses_more():
    worker = Worker()
    gate, running = hold(worker)
    queued = ask(worker, "queued")
    gate.open.set()
    assert worker.stop(SOON)
    assert queued.state == "cancelled" and running.finished
    with pytest.raises(RuntimeError, match="no more jobs"):
        ask(worker, "late")
