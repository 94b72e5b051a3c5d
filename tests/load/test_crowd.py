"""The short form of `make load`: what holds however slow the machine is. Times are `tests.load.__main__`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.browser.server import Server
from tests.load.crowd import SENTENCES, Sweeping, Told, abandoned, editors, first_figures, idle, one_link, tiny_server


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Server]:
    with tiny_server(tmp_path_factory.mktemp("load") / "log") as running:
        yield running


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    # In a thread of its own: a browser's tests before it in this process leave theirs with a loop that runs.
    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, coroutine).result()


def sweeps(running: Server, **outcome: str) -> float:
    """That have ended, or have ended so."""
    return Told.by(running).of("rephrase_jobs_total", question="sweep", **outcome)


def test_many_sessions_on_one_link_cause_one_computation(running):
    before = Told.by(running)
    run(one_link(running, 50, SENTENCES[-1]))
    done = {"question": "overview", "outcome": "done"}
    assert Told.by(running).of("rephrase_jobs_total", **done) - before.of("rephrase_jobs_total", **done) == 1


def test_thirty_sessions_each_editing_its_own_prompt_all_get_right_answers(running):
    assert len(run(editors(running, 30, 1))) == 30


def test_abandoned_tabs_leave_no_job(running):
    given_up, done = sweeps(running, outcome="cancelled"), sweeps(running, outcome="done")
    run(abandoned(running, 20))
    assert Told.by(running).jobs == 0
    assert sweeps(running, outcome="cancelled") > given_up and sweeps(running, outcome="done") - done < 20


def test_who_asks_for_sweeps_without_pause_keeps_nobodys_first_figures_waiting(running):
    async def beside_sweeps() -> int:
        await idle(running)
        async with Sweeping(running) as sweeping:
            await first_figures(running, SENTENCES[100:104])
            return sweeping.asked

    before = sweeps(running)
    assert run(beside_sweeps()) > 0
    assert sweeps(running) > before
