"""Whose job runs next, and which may run between two checkpoints of another."""

import sys
import threading

import pytest

from cache.job import Cancelled, MustWait
from tests.cache.jobs import SOON, Gate, ask, ended, hold


def test_a_job_of_higher_priority_runs_between_two_checkpoints_of_a_long_one(worker):
    order = []

    def sweep(ctx):
        order.append("sweep begins")
        gate(ctx)
        order.append("sweep goes on")
        return "swept"

    gate = Gate()
    outer = ask(worker, "sweep", sweep, priority=0)
    assert gate.started.wait(SOON)
    quick = ask(worker, "quick", lambda ctx: order.append("quick"), owner="another", priority=1)
    same = ask(worker, "same", lambda ctx: order.append("same priority"), owner="another", priority=0)
    gate.open.set()
    assert [ended(job) for job in (outer, quick, same)] == ["done"] * 3
    assert order == ["sweep begins", "quick", "sweep goes on", "same priority"]


def test_nesting_is_no_deeper_than_there_are_priorities(worker):
    gate, _ = hold(worker, priority=-1)
    depths = []

    def run(ctx):
        ctx.checkpoint()
        depths.append(len(worker.status().running))

    jobs = [ask(worker, n, run, owner=n % 5, priority=n % 3) for n in range(30)]
    gate.open.set()
    assert {ended(job) for job in jobs} == {"done"}
    assert max(depths) <= 1 + 3


@pytest.mark.parametrize("raised", [ValueError("bad"), SystemExit(1), Cancelled("its own"), MemoryError()])
def test_what_a_nested_job_raises_does_not_reach_the_outer_one(worker, raised):
    def inner(ctx):
        raise raised

    gate, outer = hold(worker)
    nested = ask(worker, "nested", inner, priority=1)
    gate.open.set()
    assert ended(nested) == ("cancelled" if isinstance(raised, Cancelled) else "failed")
    assert ended(outer) == "done" and outer.result == "gate"


def test_cancelling_the_outer_job_lets_the_nested_one_finish(worker):
    gate, outer = hold(worker, owner="editor")
    inner = Gate("inner")
    nested = ask(worker, "nested", inner, owner="reader", priority=1)
    gate.open.set()
    assert inner.started.wait(SOON)
    worker.release("editor")
    inner.open.set()
    assert ended(nested) == "done" and nested.result == "inner"
    assert ended(outer) == "cancelled" and gate.stopped


def test_a_nested_job_that_must_wait_runs_once_the_outer_one_has_ended(worker):
    depths = []

    def crowded(ctx):
        depths.append(len(worker.status().running))
        if depths[-1] > 1:
            raise MustWait("the memory is in use")
        return "answer"

    gate, outer = hold(worker)
    job = ask(worker, "key", crowded, priority=1)
    gate.open.set()
    assert ended(outer) == "done" and ended(job) == "done"
    assert depths == [2, 1] and job.result == "answer"


def test_a_job_that_must_wait_for_nobody_fails(worker):
    def crowded(ctx):
        raise MustWait("the memory is in use")

    job = ask(worker, "key", crowded)
    assert ended(job) == "failed" and "memory" in str(job.error)


def test_a_nested_job_does_not_inherit_grad_modes(worker, monkeypatch):
    entered = []

    class Mode:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            entered.append(self.name)

        def __exit__(self, *_):
            entered.append(f"end of {self.name}")

    class Torch:
        inference_mode = staticmethod(lambda on: Mode(f"inference {on}"))
        enable_grad = staticmethod(lambda: Mode("grad"))

    gate, outer = hold(worker)
    monkeypatch.setitem(sys.modules, "torch", Torch)
    nested = ask(worker, "nested", lambda ctx: entered.append("nested"), priority=1)
    gate.open.set()
    assert ended(nested) == "done" and ended(outer) == "done"
    assert entered == ["inference False", "grad", "nested", "end of grad", "end of inference False"]


def test_seconds_leave_out_the_jobs_given_way_to(worker):
    gate, outer = hold(worker)
    waited = threading.Event()
    nested = ask(worker, "nested", lambda ctx: waited.wait(0.2), priority=1)
    before = outer.seconds
    gate.open.set()
    assert ended(nested) == "done" and ended(outer) == "done"
    assert nested.seconds >= 0.19 and outer.seconds - before < 0.19


def test_owners_take_turns_within_a_priority(worker):
    gate, _ = hold(worker)
    order = []

    def jobs(owner, count):
        names = [f"{owner}{n}" for n in range(count)]
        return [ask(worker, name, lambda ctx, name=name: order.append(name), owner=owner) for name in names]

    asked = jobs("a", 4) + jobs("b", 2) + jobs("c", 1)
    assert [job.place for job in asked] == [0, 3, 5, 6, 1, 4, 2]
    gate.open.set()
    assert {ended(job) for job in asked} == {"done"}
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_a_newcomer_goes_before_the_next_job_of_whoever_runs(worker):
    gate, _ = hold(worker, owner="a")
    order = []
    asked = [
        worker.submit((owner, n), lambda ctx, name=f"{owner}{n}": order.append(name), owner=owner, group="held")
        for owner, n in [("a", 1), ("a", 2), ("b", 1), ("c", 1)]
    ]
    gate.open.set()
    assert {ended(job) for job in asked} == {"done"}
    assert order == ["b1", "c1", "a1", "a2"]


def test_a_stream_of_newcomers_does_not_starve_an_earlier_owner(worker):
    gate, _ = hold(worker, owner="a")
    order = []

    def newcomer(number):
        def run(ctx):
            order.append(number)
            if number < 20:
                ask(worker, number + 1, newcomer(number + 1), owner=number + 1)

        return run

    own = worker.submit("own", lambda ctx: order.append("own"), owner="a", group="held")
    ask(worker, 0, newcomer(0), owner=0)
    gate.open.set()
    assert ended(own) == "done"
    assert order.index("own") <= 2


def test_a_shared_job_takes_the_best_turn_of_those_who_wait(worker):
    gate, _ = hold(worker)
    asked = [ask(worker, ("a", n), owner="a") for n in range(4)]
    last = asked[-1]
    ask(worker, last.key, owner="newcomer")
    assert last.place == 1
    asked += [ask(worker, ("busy", n), owner="busy") for n in range(4)]
    ask(worker, last.key, owner="busy")
    assert last.place == 1
    gate.open.set()
    assert {ended(job) for job in asked} == {"done"}


def test_priority_goes_before_turns(worker):
    gate, _ = hold(worker)
    low = ask(worker, "low")
    high = [ask(worker, number, priority=1) for number in range(5)]
    assert [job.place for job in [*high, low]] == [0, 1, 2, 3, 4, 5]
    gate.open.set()
    assert {ended(job) for job in [low, *high]} == {"done"}


def test_asking_more_urgently_moves_a_queued_job_forward_even_into_the_running_one(worker):
    gate, outer = hold(worker)
    states = []
    first, second = (ask(worker, key, lambda ctx: states.append(outer.state)) for key in ("first", "second"))
    assert [first.place, second.place] == [0, 1]
    assert ask(worker, "second", owner="another", priority=1) is second
    assert [first.place, second.place] == [1, 0]
    gate.open.set()
    assert ended(second) == ended(first) == "done"
    assert states == ["running", "done"]


def test_within_a_forward_a_job_can_be_stopped_but_gives_way_to_nobody(worker):
    started, go, order = threading.Event(), threading.Event(), []

    def forward(ctx):
        started.set()
        assert go.wait(SOON)
        ctx.stop_if_unwanted()
        order.append("inside")
        ctx.checkpoint()
        order.append("after")
        worker.release("owner")
        ctx.stop_if_unwanted()
        order.append("unwanted")

    outer = ask(worker, "outer", forward)
    assert started.wait(SOON)
    urgent = ask(worker, "urgent", lambda ctx: order.append("urgent"), owner="other", group="other", priority=1)
    go.set()
    assert ended(outer) == "cancelled" and ended(urgent) == "done"
    assert order == ["inside", "urgent", "after"]


def test_a_viewer_who_asks_as_two_has_the_turns_of_one(worker):
    gate, _ = hold(worker)
    order = []
    asked = [("first", "a"), ("second", ("a", "beside")), ("third", ("a", "beside")), ("other", "b")]
    jobs = [ask(worker, key, lambda ctx, key=key: order.append(key), owner=owner) for key, owner in asked]
    gate.open.set()
    assert [ended(job) for job in jobs] == ["done"] * 4
    assert order == ["first", "other", "second", "third"]
