"""What the Patching page shows at one time: answers about one experiment, and about no other.

While a new prompt is only on its way, the board of the last one stays on screen, dimmed, with what it had; the first
answer to the new prompt replaces the board as a whole. No figure can so mix two experiments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from cache.job import Job
from cache.questions.overview import Overview
from core.experiment import Experiment
from pages.shared import state
from pages.shared.answers import follow
from pages.shared.jobs import POLL, Answer, resume, stop, stopped
from pages.shared.text import plain


@dataclass(eq=False)
class Board:
    """fresh: whether `experiment` is the one in the sidebar; only then are questions asked.

    jobs: everything asked so far; shown: those of this run of the page; drawn: of
    those under way, the version of the partial result on screen.
    """

    experiment: Experiment
    overview: Overview
    fresh: bool = True
    jobs: dict[tuple, Job | None] = field(default_factory=dict)
    drawn: dict[Job, int] = field(default_factory=dict)
    shown: dict[tuple, Job] = field(default_factory=dict)

    def follow(self, question: str, **options) -> Job | None:
        """The job of a question about this board's experiment, asked now or before. What failed is not asked again."""
        key = (question, tuple(sorted(options.items())))
        before = self.jobs.get(key)
        if self.fresh and (before is None or before.state != "failed"):
            self.jobs[key] = follow(question, **options) or before
        job = self.jobs.get(key)
        if job is not None:
            self.shown[key] = job
        if job is not None and not job.finished:
            self.drawn[job] = _version(job)
        return job

    def stop(self) -> None:
        """Leave everything that runs for this page as it is; for callbacks."""
        for (question, options), job in self.shown.items():
            if not job.finished:
                stop(question, **dict(options))

    def resume(self) -> None:
        """Ask again for what was stopped; for callbacks."""
        for question, options in self.shown:
            resume(question, **dict(options))

    @property
    def stopped(self) -> bool:
        """Whether something on this page was stopped and could be run again."""
        return any(job.state == "cancelled" for job in self.shown.values())

    @property
    def stopping(self) -> bool:
        """Whether what still runs was told to stop: it does at its next chunk, unless another viewer waits for it."""
        keys = [key for key, job in self.shown.items() if not job.finished]
        return bool(keys) and all(stopped(question, **dict(options)) for question, options in keys)

    @property
    def running(self) -> list[Job]:
        """The jobs that figures on screen still wait for."""
        return [job for job in self.drawn if not job.finished]

    @property
    def moved(self) -> bool:
        """Whether there is more to draw than when the page was drawn."""
        return any(job.finished or _version(job) != version for job, version in self.drawn.items())


def _version(job: Job) -> int:
    return job.partial.version if job.partial else 0


def board_of(answer: Answer | None) -> Board | None:
    """The board of the overview on screen; None before there is any."""
    board: Board | None = st.session_state.get("board")
    if answer is not None and answer.fresh:
        if board is None or board.experiment != state.experiment():
            board = st.session_state.board = Board(state.experiment(), answer.result)
        board.fresh = True
    elif board is not None:
        board.fresh = False
    if board is not None:
        board.drawn.clear()
        board.shown.clear()
    return board


def known(job: Job | None) -> Any:
    """The job's result, or what there is of it, or None."""
    if job is None:
        return None
    return job.result if job.state == "done" else job.partial.result if job.partial else None


def watch(board: Board, line: Callable[[], str]) -> None:
    """A line that counts while jobs run, and draws the page anew when one of them has more to show.

    The figures themselves are outside of what is drawn at every tick: they change only when their numbers do.
    """

    def tick() -> None:
        if board.moved:
            st.rerun()
        st.markdown(line())

    st.fragment(tick, run_every=POLL if board.running else None)()


def troubles(*jobs: Job | None) -> bool:
    """Say what failed, where its figure would stand."""
    failed = [job.error for job in jobs if job is not None and job.state == "failed"]
    for error in failed[:1]:
        if isinstance(error, ValueError):
            st.error(plain(str(error)[:1].upper() + str(error)[1:]))
        else:
            st.error(f"The computation failed ({type(error).__name__}); the server's log has it.")
    return bool(failed)
