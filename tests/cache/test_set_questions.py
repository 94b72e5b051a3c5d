"""Sets of prompts as the worker runs them: averages as they fill, others let in between, nothing done twice."""

from __future__ import annotations

import numpy as np
import pytest

from cache.questions import sets
from cache.service import Service
from cache.store import Store
from core.experiment import Experiment
from core.sets import parts, running
from core.sets.reading import sampled, shipped_file
from core.settings import Settings
from tests.cache.jobs import hold

PATIENCE = 120
SET = sampled(shipped_file("tiny").read_text(), 5)
BAD = """instruction,sentence,original,answers
Rephrase,The quick fox.,slow,swift
Rephrase,The quick fox.,quick,swift-ish
"""


@pytest.fixture
def serve(tmp_path):
    """A service on the same folder each time; all end with the test."""
    made = []

    def one(**more) -> Service:
        from cache.answers import Answers

        settings = Settings(cache=tmp_path, shipped=False, **more)
        made.append(Service(settings, answers=Answers(settings, Store(settings.store_file, settings.store_bytes))))
        return made[-1]

    yield one
    for service in made:
        service.worker.stop()


@pytest.fixture
def of_one(monkeypatch):
    """Every part is one prompt."""
    monkeypatch.setattr(parts, "MOST", 1)


def ended(job):
    assert job.wait(PATIENCE) and job.error is None, job.error
    return job.result


def test_a_set_asked_on_a_page_has_the_averages_of_its_prompts_and_of_no_experiment(serve):
    service = serve()
    found = ended(service.ask("prompt_set", Experiment(), "me", rows=SET))
    assert len(found.ran) == found.usable == 5 and not found.refused
    for row in found.ran[:2]:
        alone = ended(service.ask("overview", row.entry.experiment(Experiment(), row.answer.strip()), "me"))
        np.testing.assert_allclose((row.base, row.instruct), alone.summary.logit_diff, atol=1e-5)
    np.testing.assert_allclose(found.averages.summary["logit_diff"].mean[:2], found.logit_diff.mean(0), atol=1e-6)
    other = service.ask("prompt_set", Experiment(sentence="The red cat.", original="red"), "me", rows=SET)
    assert other.state == "done" and other.result is found


def test_rows_that_cannot_run_are_there_with_their_reasons_even_where_none_can(serve):
    found = ended(serve().ask("prompt_set", Experiment(), "me", rows=BAD))
    assert found.averages is None and found.usable == 0 and [row.line for row in found.refused] == [2, 3]
    assert "does not stand in the sentence" in found.refused[0].reason and "tokens" in found.refused[1].reason


def test_between_two_parts_others_run_and_what_there_is_can_be_seen(serve, monkeypatch, of_one):
    service, order = serve(), []
    ran = running.numbers

    def watched(*args, **more):
        order.append("prompt")
        if len(order) == 2:
            service.ask("sweep", Experiment(), "you", site="z", direction="instruct_to_base", positions="all")
        return ran(*args, **more)

    monkeypatch.setattr(running, "numbers", watched)
    job = service.ask("prompt_set", Experiment(), "me", rows=SET)
    shown = []
    publish = job._publish
    job._publish = lambda partial: (shown.append(len(partial.ran)), publish(partial))
    ended(job)
    swept = service.ask("sweep", Experiment(), "you", site="z", direction="instruct_to_base", positions="all")
    assert swept.state == "done", "the sweep did not run between two parts"
    assert shown[0] == 1 and job.result.usable == 5


def test_two_viewers_sets_take_turns_and_nothing_runs_twice(serve, monkeypatch, of_one):
    monkeypatch.setattr(sets, "TURN", 0.0)
    service, order, ran = serve(), [], running.numbers
    rows = {"a": SET, "b": sampled(shipped_file("tiny").read_text(), 4)}

    def watched(recordings, prompt, *args, **more):
        order.append(prompt.text)
        return ran(recordings, prompt, *args, **more)

    monkeypatch.setattr(running, "numbers", watched)
    gate, _ = hold(service.worker)
    jobs = {owner: service.ask("prompt_set", Experiment(), owner, rows=text) for owner, text in rows.items()}
    gate.open.set()
    found = {owner: ended(job) for owner, job in jobs.items()}
    assert [len(found[owner].ran) for owner in rows] == [5, 4]
    of_a = [row.entry.sentence for row in found["a"].ran]
    # Both begin with the same prompt, which runs once.
    whose = ["a" if any(sentence in text for sentence in of_a) else "b" for text in order]
    assert "".join(whose) == "abababaa"


def test_a_set_that_was_broken_off_goes_on_where_it_was_after_a_restart(serve, monkeypatch):
    whole = ended(serve(store_mb=0).ask("prompt_set", Experiment(), "me", rows=SET, sites=("z",)))
    ran, counted = running.numbers, []

    def stops(*args, **more):
        if len(counted) == 2:
            first.worker.release("me")
        counted.append(1)
        return ran(*args, **more)

    monkeypatch.setattr(running, "numbers", stops)
    first = serve()
    job = first.ask("prompt_set", Experiment(), "me", rows=SET, sites=("z",))
    assert job.wait(PATIENCE) and job.state == "cancelled" and len(counted) == 3
    assert first.worker.stop()
    monkeypatch.setattr(running, "numbers", lambda *args, **more: (counted.append(1), ran(*args, **more))[1])
    again = ended(serve().ask("prompt_set", Experiment(), "me", rows=SET, sites=("z",)))
    assert len(counted) == 6, "the third prompt was broken off and is run again, the first two are not"
    tables = again.tables(), whole.tables()
    assert all(tables[0][name].equals(tables[1][name]) for name in tables[1])
