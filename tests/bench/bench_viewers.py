"""What a viewer costs the server: its CPU an edit, what of it computes, and how long thirty wait who edit at once.

Sessions without a browser, over real websockets, on the tiny pair: what they wait for is the server alone. Every answer
is held against the core's own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from tests.browser.server import Server
from tests.load.crowd import PATIENCE, SENTENCES, Told, cpu, editors, idle, median, shows, tiny_server
from tests.load.viewer import Viewer

EDITS, WARM, PAUSE = 40, 10, 1.0
CROWD, EACH = 30, 5


def computing(running: Server) -> float:
    """Seconds of CPU that the models' own thread has taken."""
    return Told.by(running).of("rephrase_models_cpu_seconds_total")


async def one_viewer(running: Server) -> None:
    """One after the other, with a pause as a reader makes, in which a poller would go on."""
    took: list[float] = []
    async with Viewer.visit(running.url, pair="tiny") as viewer:
        await viewer.until(lambda viewer: bool(viewer.charts), PATIENCE)
        for n, sentence in enumerate(SENTENCES[: WARM + EDITS]):
            if n == WARM:
                await idle(running)
                took.clear()
                before, of_models, sent = cpu(running), computing(running), viewer.received
            expected, began = shows(sentence), time.perf_counter()
            await viewer.edit("Sentence", sentence)
            await viewer.until(expected, PATIENCE)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE)
        spent, of_models = cpu(running) - before, computing(running) - of_models
    told = f"server CPU an edit {1000 * spent / EDITS:.0f} ms, of which models {1000 * of_models / EDITS:.0f} ms"
    size = (viewer.received - sent) / EDITS / 1000
    print(f"tiny: {told}; {size:.0f} kB sent; answer after {1000 * median(took):.0f} ms, median of {EDITS}")


async def crowd(running: Server) -> None:
    before, began = cpu(running), time.perf_counter()
    took = await editors(running, CROWD, EACH)
    spent = 1000 * (cpu(running) - before) / len(took)
    told = f"median wait {median(took):.2f} s of {len(took)} (max {max(took):.2f}), all {len(took)} answers right"
    print(f"tiny: {CROWD} sessions editing at once: {told}; server CPU an edit {spent:.0f} ms, visits included")
    print(f"tiny: the whole took {time.perf_counter() - began:.0f} s")


def main() -> None:
    for part in (one_viewer, crowd):
        with tempfile.TemporaryDirectory() as folder, tiny_server(Path(folder) / "log") as running:
            asyncio.run(part(running))


if __name__ == "__main__":
    main()
