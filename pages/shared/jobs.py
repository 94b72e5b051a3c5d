"""Answers for a page: ask the service, wait a moment, else show the last good result and watch the job.

Script threads never run a model. A job that is done within `PATIENCE` is shown in the same rerun; a longer one is
watched by a fragment, which reruns the page once it has ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cache.job import Job
from cache.questions.catalogue import FIRST, QUESTIONS
from cache.service import Service
from core.experiment import InputError, check
from core.settings import settings
from pages.shared import state
from pages.shared.text import plain

PATIENCE = 0.25  # seconds that one run of a script waits for jobs, all together
FIRST_PATIENCE = 0.6  # the same for the first figures: two forwards of a small real pair
POLL = 0.3


@lru_cache
def service() -> Service:
    return Service(settings(), alive=_is_active)


def _is_active(owner: str) -> bool:
    return owner == Service.WARMING or get_instance().is_active_session(owner)


def owner() -> str:
    return get_script_run_ctx().session_id


@dataclass(frozen=True)
class Answer:
    """A result and whether it belongs to the experiment in the sidebar; if not, it is the last good one."""

    result: Any
    fresh: bool


class Asking:
    """The jobs of one run of a page. Filled by `ask`, shown by `show_status`."""

    def __init__(self) -> None:
        # A first page has nothing to keep on screen meanwhile: its frame comes at once.
        self.began = time.monotonic()
        self.patient = bool(st.session_state.get("last"))
        self.pending: list[Job] = []
        self.errors: dict[str, str] = {}

    def ask(self, question: str, **options) -> Answer | None:
        """The answer to a question about the current experiment, or the last good one, or None."""
        last = st.session_state.setdefault("last", {})
        job = None if self.errors else self._submit(question, options)
        if job is not None and job.wait(self._patience(question)):
            if job.state == "done":
                last[question] = job.result
                return Answer(job.result, fresh=True)
            self._failed(job)
        elif job is not None:
            self.pending.append(job)
        return Answer(last[question], fresh=False) if question in last else None

    def follow(self, question: str, **options) -> Job | None:
        """The job of a question that takes long, to show its partial results and its error; None if it cannot be asked.

        A job that the viewer stopped is not asked again: it is returned as it was left.
        """
        if job := stopped(question, **options):
            return job
        job = None if self.errors else self._submit(question, options)
        # What has begun to fill a figure is not waited for: the figure comes first.
        if job is not None and not job.wait(0.0 if job.partial else self._patience(question)):
            self.pending.append(job)
        return job

    def _patience(self, question: str) -> float:
        first = QUESTIONS[question].priority == FIRST
        patience = (FIRST_PATIENCE if first else PATIENCE) if self.patient else 0.05
        return max(0.0, self.began + patience - time.monotonic())

    def _submit(self, question: str, options: dict) -> Job | None:
        experiment = state.experiment()
        try:
            check(experiment)
            service().spec(experiment)
        except InputError as error:
            self.errors[error.field] = str(error)
            service().worker.release(owner())
            return None
        return service().ask(question, experiment, owner(), **options)

    def _failed(self, job: Job) -> None:
        if isinstance(job.error, ValueError):
            self.errors[getattr(job.error, "field", "pair")] = str(job.error)
        elif job.state == "failed":
            self.errors["computation"] = f"the computation failed ({type(job.error).__name__}); the server's log has it"


def _key(question: str, options: dict) -> tuple:
    return question, state.experiment(), tuple(sorted(options.items()))


def stopped(question: str, **options) -> Job | None:
    """The job if the viewer stopped it; it runs on until its next chunk."""
    return st.session_state.setdefault("stopped", {}).get(_key(question, options))


def stop(question: str, **options) -> None:
    """Leave a followed job as it is; for callbacks."""
    job = service().ask(question, state.experiment(), owner(), **options)
    service().worker.cancel(job.key, owner())
    st.session_state.stopped[_key(question, options)] = job


def resume(question: str, **options) -> None:
    """Ask a stopped job again; for callbacks."""
    st.session_state.setdefault("stopped", {}).pop(_key(question, options), None)


def progress_line(job: Job) -> str:
    """What is being done for a job, in one line: while it waits, what it waits for."""
    shown = job
    if job.state == "queued":
        shown = service().worker.current() or job
    done, total, message = shown.progress
    count = f" {done}/{total}" if total else ""
    place = f" · {job.place} more before this prompt" if job.place else ""
    return f"{message or 'starting'}{count} · {shown.seconds:.1f} s{place}"


def show_status(asking: Asking, line: str) -> None:
    """One line that is always there: what is being computed, what is wrong, or what is on screen."""
    if asking.pending:
        _watch(asking.pending)
    elif asking.errors:
        st.markdown(
            ":orange[:material/error:] Not computed: see the marked input. "
            "Figures below, if any, are the last good ones."
        )
    else:
        st.markdown(f":green[:material/check_circle:] {line}")


def _watch(jobs: list[Job]) -> None:
    @st.fragment(run_every=POLL)
    def watch() -> None:
        unfinished = [job for job in jobs if not job.finished]
        if not unfinished:
            st.rerun()
        st.markdown(f":blue[:material/hourglass_top:] {plain(progress_line(unfinished[0]))}")

    watch()
