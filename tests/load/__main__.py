"""`python -m tests.load`: the bounds of a crowd that need a quiet machine. Status 1 where one is passed."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.browser.server import Server
from tests.load.crowd import (
    PATIENCE,
    SENTENCES,
    Sweeping,
    Told,
    abandoned,
    cpu,
    editors,
    first_figures,
    idle,
    median,
    memory,
    one_link,
    shows,
    tiny_server,
)
from tests.load.viewer import Viewer

EDITS = 500
FIRST = 100  # edits after which memory is taken to have grown to what it needs
failures: list[str] = []


def bound(what: str, value: float, most: float, unit: str = "") -> None:
    held = value <= most
    print(f"{'ok  ' if held else 'FAIL'} {what}: {value:.3g}{unit}, at most {most:g}{unit}", flush=True)
    if not held:
        failures.append(what)


async def clicks(running: Server, times: int) -> list[float]:
    """Of a session that has its answer: to the head's page and back, each until the run has ended."""
    took = []
    async with Viewer.visit(running.url, pair="tiny") as viewer:
        await viewer.until(lambda viewer: bool(viewer.charts), PATIENCE)
        await idle(running)
        for _ in range(times):
            runs, began = viewer.runs, time.perf_counter()
            await viewer.click("Reset")
            await viewer.until(lambda viewer, runs=runs: viewer.runs > runs, PATIENCE)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.2)
    return took


async def crowd(running: Server) -> None:
    before = Told.by(running)
    await one_link(running, 50, SENTENCES[-1])
    done = {"question": "overview", "outcome": "done"}
    computed = Told.by(running).of("rephrase_jobs_total", **done) - before.of("rephrase_jobs_total", **done)
    bound("50 sessions on one link: computations", computed, 1)
    await idle(running)

    alone = median(await clicks(running, 10))
    beside, waits = asyncio.create_task(clicks(running, 10)), await editors(running, 30, 5)
    bound("30 sessions editing: median wait", median(waits), 3, " s")
    bound("30 sessions editing: longest wait", max(waits), PATIENCE, " s")
    bound("an idle session's click beside them, times that on an idle server", median(await beside) / alone, 3)
    await idle(running)

    await abandoned(running, 20)
    bound("20 abandoned tabs: jobs left", Told.by(running).jobs, 0)

    alone = median(await first_figures(running, SENTENCES[150:170]))
    async with Sweeping(running) as sweeping:
        beside_sweeps = median(await first_figures(running, SENTENCES[170:190]))
    bound(f"first figures beside {sweeping.asked} edits that sweep, times those alone", beside_sweeps / alone, 1.5)
    await idle(running)


async def grow(running: Server) -> None:
    """Random edits of one session."""
    chosen, held, spent = random.Random(1), 0, 0.0
    async with Viewer.visit(running.url, pair="tiny") as viewer:
        await viewer.until(lambda viewer: bool(viewer.charts), PATIENCE)
        for n in range(EDITS):
            if n == FIRST:
                held, spent = memory(running), cpu(running)
            sentence = chosen.choice([each for each in SENTENCES if each not in viewer.text])
            await viewer.edit("Sentence", sentence)
            await viewer.until(shows(sentence), PATIENCE)
    await idle(running)
    bound(f"{EDITS} edits: memory, times that after {FIRST}", memory(running) / held, 1.05)
    print(f"     server CPU an edit, one after the other: {1000 * (cpu(running) - spent) / (EDITS - FIRST):.0f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for part in (crowd, grow):
            with tiny_server(Path(folder) / part.__name__) as running:
                asyncio.run(part(running))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
