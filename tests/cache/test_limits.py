"""What one viewer may ask of a public demo."""

from __future__ import annotations

import pytest

from cache.limits import HOUR, Gate, Limits, Refused
from cache.service import Service
from cache.worker import Worker
from core.experiment import Experiment
from core.settings import Settings

PATIENCE = 120.0
SOON = 5.0


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_a_public_demo_limits_its_viewers():
    assert Limits.of(Settings()) == Limits()
    hosted = Limits.of(Settings(hosted=True))
    assert min(hosted.jobs, hosted.jobs_address, hosted.seconds, hosted.sweeps) > 0
    gate = Gate(Limits())
    for _ in range(1000):
        gate.pass_("a", [{"a"}] * 1000, sweep=True)


def test_a_tab_and_an_address_have_so_many_questions_at_once():
    gate = Gate(Limits(jobs=2, jobs_address=3), address=lambda session: session[0])
    gate.pass_("a1", [{"a1"}, {"b1"}], False)
    with pytest.raises(Refused, match="This tab has 2 questions waiting.*come back when one of them is answered"):
        gate.pass_("a1", [{"a1"}, {"a1", "b1"}], False)
    with pytest.raises(Refused, match="Your address has 3 questions"):
        gate.pass_("a1", [{"a1"}, {"a2"}, {"a3"}], False)
    gate.pass_("b1", [{"a1"}, {"a2"}, {"a3"}], False)


def test_an_address_has_so_many_sweeps_an_hour_and_is_told_when_the_next_comes():
    clock = Clock()
    gate = Gate(Limits(sweeps=2), address=lambda session: session[0], clock=clock)
    gate.pass_("a1", [], True)
    clock.now = HOUR / 2
    gate.pass_("a2", [], True)
    with pytest.raises(Refused, match="2 sweeps within an hour.*come back in 30 minutes"):
        gate.pass_("a1", [], True)
    gate.pass_("a1", [], False)
    gate.pass_("b1", [], True)
    clock.now = HOUR
    gate.pass_("a1", [], True)
    with pytest.raises(Refused, match="in 30 minutes"):
        gate.pass_("a2", [], True)


def test_a_refused_question_is_a_job_that_says_why_and_others_are_answered():
    service = Service(Settings(pair="tiny", hosted=True, max_sweeps=1), address=lambda session: "here")
    experiment = Experiment(pair="tiny")
    options = {"direction": "instruct_to_base", "positions": "end"}
    first = service.ask("sweep", experiment, "one", site="z", **options)
    assert service.ask("sweep", experiment, "two", site="z", **options) is first, "the same question is no new one"
    second = service.ask("sweep", experiment, "two", site="v", **options)
    assert second.state == "failed" and isinstance(second.error, Refused)
    assert service.ask("overview", experiment, "two").wait(PATIENCE)
    assert first.wait(PATIENCE) and first.state == "done"
    told = service.metrics.text(service, 2).decode()
    assert 'rephrase_questions_total{found="no",question="sweep"} 1.0' in told
    assert "rephrase_refused_total 1.0" in told and "rephrase_sessions 2.0" in told
    assert 'rephrase_jobs_total{outcome="done",question="overview"} 1.0' in told
    assert service.worker.stop(SOON)


def test_a_job_ends_when_it_has_computed_as_long_as_one_may():
    worker = Worker(seconds=1e-9)
    went_on = []

    def endless(ctx):
        ctx.publish("so far")
        while True:
            went_on.append(1)
            ctx.checkpoint()

    job = worker.submit("endless", endless, owner="one", group="one")
    assert job.wait(SOON) and isinstance(job.error, Refused)
    assert len(went_on) == 2 and job.partial.result == "so far"
    assert worker.submit("next", lambda ctx: "answer", owner="one", group="one").wait(SOON)
    assert worker.stop(SOON)
