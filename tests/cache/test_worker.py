"""What is asked is computed once, kept within its bytes, and given up when nobody waits for it."""

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest

from cache.job import Cancelled
from cache.worker import Worker
from tests.cache.jobs import SOON, Gate, ask, ended, hold


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


def test_importing_the_cache_floor_imports_neither_torch_nor_streamlit():
    code = "import sys, cache.worker, cache.models, core.settings; print({'torch', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


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
