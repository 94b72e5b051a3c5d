"""Jobs whose course a test decides, and a worker to run them."""

from __future__ import annotations

import threading

import pytest

from cache.job import Cancelled
from cache.worker import Worker

SOON = 5.0


@pytest.fixture
def worker():
    worker = Worker(alive_every=0.0)
    yield worker
    assert worker.stop(SOON)


class Gate:
    """A job that says when it has started and goes on, from checkpoint to checkpoint, when it is let."""

    def __init__(self, result="gate"):
        self.started, self.open, self.result = threading.Event(), threading.Event(), result
        self.stopped = False

    def __call__(self, ctx):
        self.started.set()
        assert self.open.wait(SOON)
        try:
            ctx.checkpoint()
        except Cancelled:
            self.stopped = True
            raise
        return self.result


def hold(worker, owner="holder", key="gate", priority=0):
    """Keep the worker busy until the gate is opened."""
    gate = Gate()
    job = worker.submit(key, gate, owner=owner, group="held", priority=priority)
    assert gate.started.wait(SOON)
    return gate, job


def ask(worker, key, run=lambda ctx: "answer", owner="owner", group="group", priority=0):
    return worker.submit(key, run, owner=owner, group=group, priority=priority)


def ended(job):
    assert job.wait(SOON)
    return job.state
