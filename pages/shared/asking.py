"""One protocol for every question of a page: how it is asked, answered, stopped and tried again.

A question is its name, what it looks at of the experiment, and its options. An answer says which question it answers,
so that a figure knows by itself whether it is of what the viewer looks at now. A failure is an answer too: it stays
until the viewer changes the experiment or tries again, and no rerun computes it anew.

Script threads run no model: a run of the script waits for its jobs as long as `pages.shared.patience` says and shows
what it has; the page's one poller (`pages.shared.watching`) runs it again when there is more. What a tab holds are the
answers that it shows, and the last overview; the worker keeps the others within its bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any

import streamlit as st

from cache.job import Job, wait_until
from cache.questions.catalogue import FIRST, QUESTIONS
from cache.questions.overview import Overview
from core.experiment import Experiment, InputError, check
from pages.shared import patience, stale, state
from pages.shared.service import beside, owner, service


@dataclass(frozen=True)
class Asked:
    """A question, what it looks at of an experiment, and its options."""

    question: str
    experiment: Experiment
    options: tuple[tuple[str, Any], ...]

    @classmethod
    def about(cls, experiment: Experiment, question: str, options: dict) -> Asked:
        return cls(question, QUESTIONS[question].matters(experiment), tuple(sorted(options.items())))


@dataclass(frozen=True, eq=False)
class Answer:
    """What there is of an answer.

    asked: the question that `value` answers; wanted: the one that the page asks now. While that has nothing to show,
    the last good answer stays. value: the result, or what has run so far, or None; complete: whether it is all.
    job: the one under way for the page, if any. stopped: whether the viewer has stopped it.
    """

    asked: Asked
    wanted: Asked
    value: Any = None
    complete: bool = False
    job: Job | None = None
    stopped: bool = False

    @property
    def fresh(self) -> bool:
        """Whether it answers what the page asks now."""
        return self.asked == self.wanted

    @property
    def result(self) -> Any:
        """The whole answer, or None."""
        return self.value if self.complete else None

    @property
    def running(self) -> bool:
        return self.job is not None and not self.job.finished

    def agrees_with(self, other: Answer) -> bool:
        """Whether both are of one experiment, as far as both look at it."""
        questions = [QUESTIONS[answer.asked.question] for answer in (self, other)]
        seen = [questions[0].matters(questions[1].matters(answer.asked.experiment)) for answer in (self, other)]
        return seen[0] == seen[1]

    @property
    def failure(self) -> BaseException | None:
        return self.job.error if self.job is not None and self.job.state == "failed" else None


@dataclass(eq=False)
class Held:
    """A job that a tab holds on to."""

    job: Job
    stopped: bool = False


class Asking:
    """The questions of one run of a page.

    errors: field → what is wrong with it. answers: (asked, wanted) → the answer, given once a run; followed: those that
    fill. told: the jobs whose failure the page has said. waiting: those that had not ended when the page got their
    answers; drawn: of these, whose figures are drawn again when there is more → the version of what there was; news: of
    these, whether what there is now changes anything. outdated: whether something else on the page is.
    compared: the questions about the experiment that the current one is compared with, if it is.
    """

    def __init__(self) -> None:
        self.owner: Hashable = owner()
        self.of: Experiment | None = None
        self.compared: Asking | None = None
        self.held: dict[Asked, Held] = st.session_state.setdefault("held", {})
        self.last: dict[str, Asked] = st.session_state.setdefault("last", {})
        self.began = time.monotonic()
        self.errors: dict[str, str] = {}
        self.answers: dict[tuple[Asked, Asked], Answer] = {}
        self.followed: list[Answer] = []
        self.told: set[Job] = set()
        self.waiting: list[Job] = []
        self.drawn: dict[Job, int] = {}
        self.news: dict[Job, Callable[[Any], bool]] = {}
        self.outdated: list[Callable[[], bool]] = []

    def beside(self, experiment: Experiment) -> Asking:
        """The questions about another experiment in the same run: what it waits for is one, what is wrong with the
        experiment, and what was its last good answer, is its own."""
        other = self.compared = copy(self)
        other.of, other.owner, other.errors = experiment, beside(self.owner), {}
        other.last = st.session_state.setdefault("last_beside", {})
        return other

    @property
    def experiment(self) -> Experiment:
        return self.of or state.experiment()

    def ask(self, question: str, wait: bool = True, **options) -> Answer:
        """The whole answer to a question about the experiment; meanwhile the last good one.

        wait: whether the run waits for it as long as it has patience.
        """
        experiment = self.experiment
        wanted = Asked.about(experiment, question, options)
        if (before := self.answers.get((wanted, wanted))) is not None:
            return before
        held = self._obtain(wanted, experiment)
        job = held.job if held else None
        if job is not None and not job.wait(self._patience(question) if wait else 0):
            self._wait_for(job)
        if job is not None and job.state == "done":
            self.last[question] = wanted
        elif job is not None and isinstance(job.error, InputError):
            self.errors[job.error.field] = str(job.error)
        shown = self.last.get(question)
        good = self.held.get(shown) if shown else None
        if shown and good and good.job.state == "done":
            answer = Answer(shown, wanted, good.job.result, complete=True, job=job)
        else:
            answer = Answer(wanted, wanted, job=job)
        return self.answers.setdefault((wanted, wanted), answer)

    def follow(self, overview: Answer, question: str, redraw: bool = True, **options) -> Answer:
        """The answer to a question about the experiment of the overview on screen, and of no other, as far as it goes.

        While the overview of a new experiment is only on its way nothing is asked, and what there was stays on screen.
        redraw: whether the page is to be drawn again when there is more, and not its lines alone.
        """
        experiment = self.experiment
        asked = Asked.about(overview.asked.experiment, question, options)
        wanted = Asked.about(experiment, question, options)
        if (before := self.answers.get((asked, wanted))) is not None:
            return before
        held = self._obtain(asked, experiment) if overview.fresh else self.held.get(asked)
        if held is None:
            return self._follow(Answer(asked, wanted))
        job = held.job
        if overview.fresh and not held.stopped:
            # What has begun to fill a figure is not waited for: the figure comes first.
            wait_until(lambda: job.finished or job.version > 0, self._patience(question))
            if not redraw and job.seconds < patience.MOMENT:
                job.wait(min(patience.MOMENT, self._patience(question)))
        done = job.state == "done"
        if not job.finished:
            self._wait_for(job, redraw)
        return self._follow(Answer(asked, wanted, so_far(job), done, job, held.stopped and not done))

    def begin(self, question: str, news: Callable[[Any], bool], **options) -> None:
        """Have a question answered and wait for nothing: the page is drawn again when that is all, or when what there
        is of it is news."""
        experiment = self.experiment
        asked = Asked.about(experiment, question, options)
        held = self._obtain(asked, experiment)
        if held is not None:
            self._wait_for(held.job)
            self.news[held.job] = news
            self.answers.setdefault((asked, asked), Answer(asked, asked, job=held.job))

    def has_more(self) -> bool:
        """Whether a job that the page waits for has more to show than its lines; asks jobs alone."""
        ended = any(job.finished and (job in self.drawn or job.state != "done") for job in self.waiting)
        return ended or any(
            job.version != drawn and self.news.get(job, lambda found: True)(so_far(job))
            for job, drawn in self.drawn.items()
        )

    def is_over(self) -> bool:
        """Whether everything that the page waits for has ended."""
        return all(job.finished for job in self.waiting)

    def close(self) -> None:
        """At a page's end: hold what it shows, and the overview."""
        questions = {wanted.question for _, wanted in self.answers} | {"overview"}
        lasts = [self.last] if self.compared is None else [self.last, self.compared.last]
        for last in lasts:
            for question in last.keys() - questions:
                del last[question]
        if self.compared is None and st.session_state.pop("last_beside", None) is not None:
            service().worker.release(beside(self.owner))
        shown = {asked for pair in self.answers for asked in pair}.union(*(last.values() for last in lasts))
        for asked in self.held.keys() - shown:
            del self.held[asked]

    def _follow(self, answer: Answer) -> Answer:
        self.followed.append(answer)
        return self.answers.setdefault((answer.asked, answer.wanted), answer)

    def _wait_for(self, job: Job, redraw: bool = True) -> None:
        self.waiting.append(job)
        if redraw:
            self.drawn[job] = job.version

    def _patience(self, question: str) -> float:
        """Seconds that this run goes on waiting for it."""
        whole = patience.patience(QUESTIONS[question].priority == FIRST, "overview" in self.last)
        return max(0.0, self.began + whole - time.monotonic())

    def _obtain(self, asked: Asked, experiment: Experiment) -> Held | None:
        """What is held of an answer if that is to stay as it is, else the job that is asked now; None: it cannot be."""
        held = self.held.get(asked)
        if held and (held.stopped or held.job.state == "failed"):
            return held
        job = None if self.errors else self._submit(asked, experiment)
        if job is None:
            return held
        if held is None or held.job is not job:
            held = self.held[asked] = Held(job)
        return held

    def _submit(self, asked: Asked, experiment: Experiment) -> Job | None:
        try:
            check(experiment)
            if self.of is None:
                stale.check(experiment)
            service().spec(experiment)
        except InputError as error:
            self.errors[error.field] = str(error)
            service().worker.release(self.owner)
            return None
        return service().ask(asked.question, experiment, self.owner, **dict(asked.options))


def ask(question: str, wait: bool = True, **options) -> Answer:
    """See `Asking.ask`; the questions are in `cache.questions.catalogue`."""
    return st.session_state.asking.ask(question, wait, **options)


def follow(overview: Answer, question: str, redraw: bool = True, **options) -> Answer:
    """See `Asking.follow`."""
    return st.session_state.asking.follow(overview, question, redraw, **options)


def followed() -> list[Answer]:
    """What this run of the page has followed so far."""
    return st.session_state.asking.followed


def so_far(job: Job | None) -> Any:
    """The job's result, or what there is of it now, or None."""
    if job is None:
        return None
    partial = job.partial  # it goes only once the result is there
    return partial.result if partial else job.result


def held_job(question: str, **options) -> Job | None:
    """The job that this tab holds for a question about the current experiment."""
    held = st.session_state.get("held", {}).get(Asked.about(state.experiment(), question, options))
    return held.job if held else None


def on_screen() -> Overview | None:
    """The last good overview of this tab."""
    shown = st.session_state.get("last", {}).get("overview")
    held = st.session_state.get("held", {}).get(shown)
    return held.job.result if held else None


def stop(answers: Iterable[Answer]) -> None:
    """Leave jobs as they are; for callbacks. A running one stops at its next chunk if nobody else waits for it."""
    for answer in answers:
        held = st.session_state.held.get(answer.asked)
        if held and not held.job.finished:
            for each in (owner(), beside(owner())):
                service().worker.cancel(held.job.key, each)
            held.stopped = True


def again(answers: Iterable[Answer]) -> None:
    """Have the next run ask anew for what was stopped or has failed; for callbacks."""
    for answer in answers:
        for asked in {answer.asked, answer.wanted}:
            held = st.session_state.held.get(asked)
            if held and (held.stopped or held.job.state == "failed"):
                del st.session_state.held[asked]
