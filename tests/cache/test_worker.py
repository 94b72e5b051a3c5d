import gc
import logging
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from cache.job import Cancelled, MustWait
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


def test_a_job_runs_and_its_result_is_returned_at_once_the_next_time(worker):
    runs = []
    job = ask(worker, "key", lambda ctx: runs.append(1) or "answer")
    assert ended(job) == "done" and job.result == "answer"
    again = ask(worker, "key", lambda ctx: runs.append(2), owner="another")
    assert again.finished and again.result == "answer" and runs == [1]


def test_one_key_is_computed_once_for_twenty_who_ask_at_once(worker):
    gate, _ = hold(worker)
    runs, jobs, together = [], [], threading.Barrier(20)

    def asker(number):
        together.wait(SOON)
        jobs.append(ask(worker, "key", lambda ctx: runs.append(number) or "answer", owner=number))

    threads = [threading.Thread(target=asker, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    gate.open.set()
    assert len(jobs) == 20 and len(set(map(id, jobs))) == 1
    assert ended(jobs[0]) == "done" and len(runs) == 1


def test_a_key_asked_for_while_it_runs_is_not_started_again(worker):
    gate, job = hold(worker)
    assert ask(worker, "gate", lambda ctx: pytest.fail("ran twice"), owner="another") is job
    gate.open.set()
    assert ended(job) == "done"


def test_an_edit_stops_the_running_job_at_its_next_checkpoint(worker):
    gate, old = hold(worker, owner="editor")
    new = ask(worker, "new", owner="editor", group="edited")
    assert old.state == "running"
    gate.open.set()
    assert ended(old) == "cancelled" and gate.stopped and old.result is None
    assert ended(new) == "done"


def test_an_edit_removes_the_owners_queued_jobs_of_the_old_group_and_no_others(worker):
    gate, _ = hold(worker)
    old = ask(worker, "old", owner="editor", group="before")
    others = ask(worker, "others", owner="reader", group="before")
    shared = ask(worker, "shared", owner="editor", group="before")
    ask(worker, "shared", owner="reader", group="before")
    new = [ask(worker, key, owner="editor", group="after") for key in ("new", "new too")]
    assert old.state == "cancelled" and old.finished
    gate.open.set()
    assert [ended(job) for job in [others, shared, *new]] == ["done"] * 4


def test_a_queued_job_that_the_edit_asks_for_as_well_stays_in_the_queue(worker):
    gate, _ = hold(worker)
    job = ask(worker, "both", owner="editor", group="before")
    assert ask(worker, "both", owner="editor", group="after") is job
    gate.open.set()
    assert ended(job) == "done"


def test_a_kept_answer_to_an_edit_ends_the_old_question_too(worker):
    assert ended(ask(worker, "kept", owner="reader")) == "done"
    gate, old = hold(worker, owner="editor")
    assert ask(worker, "kept", owner="editor", group="edited").finished
    gate.open.set()
    assert ended(old) == "cancelled"


def test_undoing_an_edit_before_the_next_checkpoint_keeps_the_running_job(worker):
    gate, job = hold(worker, owner="editor")
    edit = ask(worker, "edit", owner="editor", group="edited")
    assert worker.submit("gate", gate, owner="editor", group="held") is job
    gate.open.set()
    assert ended(job) == "done" and edit.state == "cancelled"


def test_a_job_that_another_owner_waits_for_survives_an_edit_and_a_cancel(worker):
    gate, job = hold(worker, owner="editor")
    assert ask(worker, "gate", owner="reader") is job
    worker.cancel("gate", "editor")
    gate.open.set()
    assert ended(job) == "done"


def test_cancel_ends_one_job_and_release_all_of_an_owners_jobs(worker):
    gate, held = hold(worker)
    one, two, three = (ask(worker, key) for key in ("one", "two", "three"))
    worker.cancel("one", "owner")
    assert [one.state, two.state] == ["cancelled", "queued"]
    worker.release("owner")
    assert [two.state, three.state] == ["cancelled", "cancelled"]
    gate.open.set()
    assert ended(held) == "done"


def test_a_job_that_swallows_its_cancellation_gives_no_result(worker):
    swallowed = []
    gate = Gate()

    def stubborn(ctx):
        for _ in range(2):
            try:
                gate(ctx)
            except BaseException as error:
                swallowed.append(type(error))
        return "too late"

    job = ask(worker, "key", stubborn, owner="editor")
    assert gate.started.wait(SOON)
    worker.release("editor")
    gate.open.set()
    assert ended(job) == "cancelled"
    assert ended(ask(worker, "after")) == "done"
    assert swallowed == [Cancelled, Cancelled]
    assert job.result is None and worker.peek("key") is None and worker.status().running == ()


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


def test_a_page_sees_progress_and_each_partial_result_while_the_job_runs(worker):
    gate = Gate()

    def sweep(ctx):
        ctx.publish("nothing")
        ctx.publish("half")
        ctx.progress(1, 2, "layer 1 of 2")
        return gate(ctx)

    job = ask(worker, "key", sweep)
    assert gate.started.wait(SOON)
    assert job.state == "running" and job.progress == (1, 2, "layer 1 of 2") and job.partial == (2, "half")
    assert not job.wait(0) and job.place == 0 and worker.status().running == ("key",)
    gate.open.set()
    assert ended(job) == "done" and job.partial is None


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


def test_results_stay_within_their_bytes_and_the_oldest_goes_first():
    worker = Worker(results_bytes=100_000)
    for key in range(8):
        assert ended(ask(worker, key, lambda ctx: np.zeros(30_000, dtype="uint8"))) == "done"
    assert [worker.peek(key) is not None for key in range(8)] == [False] * 5 + [True] * 3
    assert worker.status().kept == 3 and worker.status().kept_bytes <= 100_000
    assert worker.stop(SOON)


def test_a_result_too_large_to_keep_is_shared_while_somebody_holds_it():
    worker = Worker(results_bytes=100_000)
    assert ended(ask(worker, "small")) == "done"
    job = ask(worker, "large", lambda ctx: np.zeros(90_000, dtype="uint8"))
    assert ended(job) == "done"
    assert worker.peek("small") == "answer" and worker.status().kept == 1
    assert ask(worker, "large", owner="another") is job
    del job
    gc.collect()
    assert worker.peek("large") is None
    assert worker.stop(SOON)


def test_an_answer_that_holds_for_a_time_is_given_within_it_and_computed_again_after_it(worker):
    for seconds, again in ((SOON * 10, ["first"]), (-1.0, ["first", "second"])):
        runs, key = [], f"holds for {seconds}"

        def run(ctx):
            ctx.keep_for(seconds)
            runs.append(("first", "second")[len(runs)])
            return runs[-1]

        jobs = []
        for _ in range(2):
            jobs.append(ask(worker, key, run))
            assert ended(jobs[-1]) == "done"
        assert runs == again and jobs[-1].result == again[-1]


def test_forgotten_results_are_computed_again_and_others_stay(worker):
    first = [ask(worker, key) for key in (("a", 1), ("a", 2), ("b", 1))]
    assert {ended(job) for job in first} == {"done"}
    worker.forget(lambda key: key[0] == "a")
    assert [worker.peek(job.key) for job in first] == [None, None, "answer"]
    assert ask(worker, ("a", 1)) is not first[0]
    worker.clear()
    assert worker.peek(("b", 1)) is None


def test_stopping_cancels_what_is_left_and_refuses_more():
    worker = Worker()
    gate, running = hold(worker)
    queued = ask(worker, "queued")
    gate.open.set()
    assert worker.stop(SOON)
    assert queued.state == "cancelled" and running.finished
    with pytest.raises(RuntimeError, match="no more jobs"):
        ask(worker, "late")


def test_importing_the_cache_floor_imports_neither_torch_nor_streamlit():
    code = "import sys, cache.worker, cache.models, core.settings; print({'torch', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


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


def test_an_answer_found_elsewhere_is_a_finished_job_that_is_kept_and_ends_the_old_question(worker):
    gate, old = hold(worker, owner="editor")
    job = worker.submit("found", lambda ctx: "run", owner="editor", group="edited", found="elsewhere")
    assert job.finished and job.result == "elsewhere" and worker.holds("found")
    gate.open.set()
    assert ended(old) == "cancelled" and ask(worker, "found") is job


def test_what_is_kept_or_under_way_is_not_looked_for_elsewhere(worker):
    kept = ask(worker, "kept")
    assert ended(kept) == "done"
    gate, _ = hold(worker)
    ask(worker, "waiting")
    assert worker.holds("kept") and worker.holds("waiting") and not worker.holds("unknown")
    assert worker.submit("kept", lambda ctx: "run", owner="me", group="now", found="elsewhere") is kept
    gate.open.set()


def test_a_viewer_who_asks_as_two_has_the_turns_of_one(worker):
    gate, _ = hold(worker)
    order = []
    asked = [("first", "a"), ("second", ("a", "beside")), ("third", ("a", "beside")), ("other", "b")]
    jobs = [ask(worker, key, lambda ctx, key=key: order.append(key), owner=owner) for key, owner in asked]
    gate.open.set()
    assert [ended(job) for job in jobs] == ["done"] * 4
    assert order == ["first", "other", "second", "third"]
