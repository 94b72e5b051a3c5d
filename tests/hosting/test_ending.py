"""SIGTERM: no abort, and status 0, also while torch wakes. That what has run is kept, tests.cache shows."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor

from tests.browser.server import server
from tests.load.viewer import Viewer

PATIENCE = 120


def test_a_terminated_server_ends_with_status_0_under_an_open_session(tmp_path):
    async def told_to_end(url: str, pid: int) -> int:
        async with Viewer.visit(url, pair="tiny") as viewer:
            await viewer.until(lambda viewer: bool(viewer.charts), PATIENCE)
            os.kill(pid, signal.SIGTERM)
            return (await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)).si_status

    log = tmp_path / "log"
    with server(log, REPHRASE_SHIPPED="1", REPHRASE_CACHE=str(tmp_path / "cache")) as running:
        # In a thread of its own: a browser's tests before it in this process leave theirs with a loop that runs.
        with ThreadPoolExecutor(1) as own:
            assert own.submit(asyncio.run, told_to_end(running.url, running.pid)).result() == 0
    assert "Traceback" not in log.read_text()
