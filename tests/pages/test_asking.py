"""The protocol of a page's questions: what is shown while an answer is on its way, fails, is stopped or is left."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cache.job import Job
from cache.questions.catalogue import QUESTIONS
from cache.worker import Worker
from core.experiment import Experiment, InputError
from pages.shared import asking, patience, state
from pages.shared.asking import Asking, again, stop

SOON = 10.0
HERE = Experiment(sentence="The quick fox.")


class Session(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Stub:
    """A service whose answers the test gives: question → a function of the experiment and the job's context."""

    def __init__(self):
        self.worker = Worker(alive_every=0.0)
        self.answers: dict = {}
        self.computed: list[tuple[str, Experiment]] = []

    def spec(self, experiment):
        if experiment.pair == "nix":
            raise InputError("'nix' is no pair; choose tiny", "pair")

    def ask(self, question, experiment, owner, **options):
        asked = QUESTIONS[question]
        matters = asked.matters(experiment)

        def run(ctx):
            self.computed.append((question, matters))
            return self.answers.get(question, lambda e, ctx: (question, e.sentence))(matters, ctx)

        return self.worker.submit(
            (question, matters, tuple(sorted(options.items()))), run, owner=owner, group=experiment,
            priority=asked.priority, belongs=lambda shown: asked.matters(shown) == matters,
        )  # fmt: skip


class Gate:
    """An answer that begins with a partial one and is given when the test lets it."""

    def __init__(self, error: Exception | None = None):
        self.begun, self.open, self.error = threading.Event(), threading.Event(), error

    def __call__(self, experiment, ctx):
        ctx.publish(("some of", experiment.sentence))
        self.begun.set()
        while not self.open.wait(0.01):
            ctx.checkpoint()
        if self.error:
            raise self.error
        return "all of", experiment.sentence


@pytest.fixture
def tab(monkeypatch):
    """A tab of the app without its frontend: `look(page, **changes)` edits, runs the page and ends its run."""
    session, stub = Session(experiment=HERE, view={}, complaints=[]), Stub()
    for module in (asking, state):
        monkeypatch.setattr(module, "st", SimpleNamespace(session_state=session))
    for module in (asking, patience):
        monkeypatch.setattr(module, "service", lambda: stub)
    monkeypatch.setattr(asking, "owner", lambda: "me")
    for name in ("PATIENCE", "FIRST", "NOTHING_YET"):
        monkeypatch.setattr(patience, name, 0.0)

    def look(page, **changes):
        session.experiment = replace(session.experiment, **changes)
        session.asking = asked = Asking()
        found = page(asked)
        asked.close()
        return found

    def settled(page, **changes):
        look(page, **changes)
        for _ in range(20):
            if not session.asking.waiting:
                return look(page)
            assert all(job.wait(SOON) for job in session.asking.waiting)
            look(page)
        raise AssertionError("every run asks anew")

    yield SimpleNamespace(look=look, settled=settled, session=session, service=stub)
    assert stub.worker.stop()


def overview(asked):
    return asked.ask("overview")


def overview_and(question, **options):
    return lambda asked: (asked.ask("overview"), asked.ask(question, **options))


def followed(question, **options):
    return lambda asked: asked.follow(asked.ask("overview"), question, **options)


def test_an_answer_is_stale_by_itself_and_not_by_its_neighbour(tab):
    page = overview_and("head_patches", layer=0, head=0)
    tab.settled(page)
    gate = tab.service.answers["head_patches"] = Gate()
    tab.look(page, sentence="The tired dog.")
    assert gate.begun.wait(SOON)
    first, patches = tab.look(page)
    assert first.fresh and first.result == ("overview", "The tired dog.")
    assert not patches.fresh and patches.result == ("head_patches", HERE.sentence)
    assert patches.asked.experiment.sentence == HERE.sentence and not patches.agrees_with(first)
    gate.open.set()
    assert tab.settled(page)[1].fresh


def test_a_failure_is_shown_however_late_it_comes_and_computed_again_by_no_rerun(tab):
    gate = tab.service.answers["overview"] = Gate(RuntimeError("no memory"))
    tab.look(overview)
    assert gate.begun.wait(SOON)
    gate.open.set()
    for _ in range(3):
        answer = tab.settled(overview)
        assert isinstance(answer.failure, RuntimeError) and answer.result is None
    assert len(tab.service.computed) == 1
    again([answer])
    del tab.service.answers["overview"]
    assert tab.settled(overview).result == ("overview", HERE.sentence)
    assert len(tab.service.computed) == 2


def test_after_a_failure_the_last_good_answer_stays_and_is_stale(tab):
    tab.settled(overview)
    tab.service.answers["overview"] = lambda *_: 1 / 0
    answer = tab.settled(overview, sentence="The sad cat.")
    assert answer.result == ("overview", HERE.sentence) and not answer.fresh
    assert isinstance(answer.failure, ZeroDivisionError)


def test_only_an_input_error_is_told_at_an_input(tab):
    tab.service.answers["overview"] = lambda *_: (_ for _ in ()).throw(ValueError("operands could not be broadcast"))
    assert isinstance(tab.settled(overview).failure, ValueError) and tab.session.asking.errors == {}
    tab.service.answers["overview"] = lambda *_: (_ for _ in ()).throw(InputError("'x' is 2 tokens", "answer"))
    tab.settled(overview, sentence="The sad cat.")
    assert tab.session.asking.errors == {"answer": "'x' is 2 tokens"}
    tab.look(overview, pair="nix")
    assert list(tab.session.asking.errors) == ["pair"]


def test_a_failure_stays_while_only_what_the_question_ignores_changes(tab):
    def refuses(experiment, ctx):
        raise InputError("too long", "sentence")

    tab.service.answers["continuation"] = refuses
    page = lambda asked: asked.ask("continuation", model="base")  # noqa: E731
    for answer in ("slow", "", "two words"):
        assert tab.settled(page, answer=answer).failure is not None
    assert len(tab.service.computed) == 1
    assert tab.settled(page, sentence="The sad cat.").failure is not None and len(tab.service.computed) == 2


def test_what_fills_is_of_the_overview_on_screen_and_of_no_other_experiment(tab):
    page = followed("sweep", site="z")
    gate = tab.service.answers["sweep"] = Gate()
    tab.look(page)
    assert tab.session.asking.waiting[0].wait(SOON)
    tab.look(page)
    assert gate.begun.wait(SOON)
    answer = tab.look(page)
    assert answer.fresh and answer.value == ("some of", HERE.sentence) and answer.result is None
    held = tab.service.answers["overview"] = Gate()
    answer = tab.look(page, sentence="The tired dog.")
    assert not answer.fresh and answer.value == ("some of", HERE.sentence)
    assert held.begun.wait(SOON)
    held.open.set()
    gate.open.set()
    assert tab.settled(page).value == ("all of", "The tired dog.")


def test_following_a_token_leaves_a_sweep_fresh_and_running(tab):
    page = followed("sweep", site="z")
    tab.settled(overview)
    gate = tab.service.answers["sweep"] = Gate()
    job = tab.look(page).job
    assert gate.begun.wait(SOON)
    for picked in (3, 4):
        answer = tab.look(page, picked=picked)
        assert answer.fresh and answer.job is job and not job.finished
    gate.open.set()
    assert tab.settled(page).complete
    assert [question for question, _ in tab.service.computed].count("sweep") == 1


def test_a_stopped_job_keeps_what_has_run_until_it_is_asked_again(tab):
    page = followed("sweep", site="z")
    tab.settled(overview)
    gate = tab.service.answers["sweep"] = Gate()
    answer = tab.look(page)
    assert gate.begun.wait(SOON)
    stop([answer])
    assert answer.job.wait(SOON)
    for _ in range(2):
        answer = tab.settled(page)
        assert answer.stopped and not answer.complete and answer.value == ("some of", HERE.sentence)
    again([answer])
    gate.open.set()
    assert tab.settled(page).result == ("all of", HERE.sentence)


def test_a_tab_holds_what_its_page_shows_and_the_overview_alone(tab):
    heads = [overview_and("pattern", layer=layer, head=head) for layer in range(3) for head in range(4)]
    for sentence in ("The quick fox.", "The tired dog.", "The sad cat."):
        for page in heads:
            tab.settled(page, sentence=sentence)
            assert {asked.question for asked in tab.session.held} == {"overview", "pattern"}
            assert len(tab.session.held) == 2
    tab.settled(overview)
    assert len(tab.session.held) == 1 and list(tab.session["last"]) == ["overview"]


def test_one_run_of_a_page_gives_one_answer_to_one_question(tab):
    tab.settled(overview)
    tab.service.answers["sweep"] = Gate()

    def page(asked):
        first = asked.follow(asked.ask("overview"), "sweep", site="z")
        tab.service.answers["sweep"].begun.wait(SOON)
        return first, asked.follow(asked.ask("overview"), "sweep", site="z")

    first, second = tab.look(page)
    assert first is second
    tab.service.answers["sweep"].open.set()


def test_the_end_of_what_only_writes_lines_draws_no_page_anew_unless_it_fails(tab):
    def lines(asked):
        return asked.follow(asked.ask("overview"), "continuation", redraw=False, model="base")

    tab.settled(overview)
    for error, sentence in ((None, "The sad cat."), (RuntimeError("no memory"), "The tired dog.")):
        gate = tab.service.answers["continuation"] = Gate(error)
        tab.settled(overview, sentence=sentence)
        job = tab.look(lines).job
        assert gate.begun.wait(SOON)
        assert not tab.session.asking.has_more() and not tab.session.asking.is_over()
        gate.open.set()
        assert job.wait(SOON) and tab.session.asking.is_over()
        assert tab.session.asking.has_more() == (error is not None)


def test_what_writes_lines_alone_and_ends_with_the_run_needs_no_poller(tab, monkeypatch):
    def waited(job, timeout=None):
        if job.key[0] == "continuation" and timeout:
            gate.open.set()
        return wait(job, timeout)

    tab.settled(overview)
    wait = Job.wait
    monkeypatch.setattr(Job, "wait", waited)
    for name in ("PATIENCE", "MOMENT"):
        monkeypatch.setattr(patience, name, SOON)
    gate = tab.service.answers["continuation"] = Gate()
    answer = tab.look(followed("continuation", redraw=False, model="base"))
    assert answer.complete and not tab.session.asking.waiting
    gate = tab.service.answers["sweep"] = Gate()
    answer = tab.look(followed("sweep", site="z"))
    assert answer.value[0] == "some of" and tab.session.asking.waiting
    gate.open.set()


def test_what_there_is_of_an_answer_draws_the_page_anew_where_it_is_news(tab):
    tab.settled(overview)
    for news in (False, True):
        gate = tab.service.answers["rewriting"] = Gate()
        held = tab.service.answers["overview"] = Gate()
        tab.look(overview, sentence=f"The quick {news}.")
        assert held.begun.wait(SOON)
        tab.look(lambda asked: asked.begin("rewriting", lambda found, news=news: news))
        held.open.set()
        assert gate.begun.wait(SOON)
        assert tab.session.asking.has_more() == news
        gate.open.set()
        assert all(job.wait(SOON) for job in tab.session.asking.waiting)
        assert tab.session.asking.has_more()
