"""What a crowd does to a server, over real websockets, and what the server says of itself meanwhile.

Answers are right where the page's finding is the one that the core makes of the same prompt in this process.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from urllib.request import urlopen

import psutil

from cache.service import Service
from core.experiment import Experiment
from core.findings import of_models
from core.settings import Settings
from pages.shared.text import plain
from tests.browser.server import Server, server
from tests.load.viewer import Viewer

PATIENCE = 120.0  # seconds until whoever waits is taken to wait for ever
NOUNS = ("fox", "dog", "cat", "horse", "bird", "bear", "wolf", "lion", "king", "queen")
VERBS = ("jumps over", "runs past", "walks to", "sits near", "stands behind", "hides behind")
PLACES = ("hill", "bridge", "house", "garden", "river")
# The original stays "quick": one edit is one prompt.
SENTENCES = [f"The quick {noun} {verb} the {place}." for place, verb, noun in product(PLACES, VERBS, NOUNS)]
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@cache
def _here() -> Service:
    return Service(Settings(pair="tiny"))


@cache
def finding(sentence: str) -> str:
    """What Explore says of a sentence on the tiny pair."""
    job = _here().ask("overview", Experiment(pair="tiny", sentence=sentence), sentence)
    assert job.wait(PATIENCE) and job.error is None, job.error
    prompt = job.result.prompt
    return plain(of_models(job.result.summary, prompt.answer, prompt.original))


@dataclass(frozen=True)
class Told:
    """The server's own measures at a moment."""

    samples: Mapping[str, float]

    @classmethod
    def by(cls, running: Server) -> Told:
        text = urlopen(f"{running.url}metrics", timeout=PATIENCE).read().decode()
        return cls({f"{name}{{{labels}}}": float(value) for name, labels, value in _SAMPLE.findall(text)})

    def of(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name with these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = (v for key, v in self.samples.items() if key.split("{")[0] == name and all(w in key for w in wanted))
        return sum(found)

    @property
    def jobs(self) -> float:
        """Unfinished ones."""
        return self.of("rephrase_jobs_queued") + self.of("rephrase_jobs_running")


@contextmanager
def tiny_server(log: Path, **environment: str) -> Iterator[Server]:
    """One that has its models, so that nobody waits for them."""
    settings = {"REPHRASE_PAIR": "tiny", "REPHRASE_STORE_MB": "0", "REPHRASE_SHIPPED": "0"}
    with server(log, **settings, **environment) as running:
        deadline = time.monotonic() + PATIENCE
        while not Told.by(running).of("rephrase_jobs_total", question="warming", outcome="done"):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield running


def shows(sentence: str):
    """Whether a viewer's page has the right answer to a sentence."""
    expected = finding(sentence)
    return lambda viewer: expected in viewer.text and bool(viewer.charts)


async def idle(running: Server) -> None:
    """Until no job is left."""
    async with asyncio.timeout(PATIENCE):
        while (await asyncio.to_thread(Told.by, running)).jobs:
            await asyncio.sleep(0.05)


async def one_link(running: Server, sessions: int, sentence: str) -> list[float]:
    """Sessions that open one link at the same time, each until it has the answer."""

    async def visit() -> float:
        async with Viewer.visit(running.url, pair="tiny", sentence=sentence, original="quick") as viewer:
            return await viewer.until(shows(sentence), PATIENCE)

    return await asyncio.gather(*(visit() for _ in range(sessions)))


async def answered(viewer: Viewer, sentences: Sequence[str]) -> list[float]:
    """Edits one after the other; seconds until each answer."""
    took = []
    for sentence in sentences:
        began = time.perf_counter()
        await viewer.edit("Sentence", sentence)
        await viewer.until(shows(sentence), PATIENCE)
        took.append(time.perf_counter() - began)
    return took


async def editors(running: Server, sessions: int, edits: int) -> list[float]:
    """Sessions that edit at the same time, each its own prompts one after the other; seconds until each answer."""
    own = [SENTENCES[n * edits : (n + 1) * edits] for n in range(sessions)]
    for sentence in (each for sentences in own for each in sentences):
        await asyncio.to_thread(finding, sentence)
    together = asyncio.Barrier(sessions)

    async def editing(sentences: Sequence[str]) -> list[float]:
        async with Viewer.visit(running.url, pair="tiny") as viewer:
            await viewer.until(lambda viewer: bool(viewer.charts), PATIENCE)
            await together.wait()
            return await answered(viewer, sentences)

    return [each for took in await asyncio.gather(*map(editing, own)) for each in took]


async def abandoned(running: Server, tabs: int) -> None:
    """Tabs that are closed once all of them have asked for a sweep; until their jobs are gone."""

    async def asked_for() -> float:
        told = await asyncio.to_thread(Told.by, running)
        return told.of("rephrase_questions_total", question="sweep", found="no")

    before = await asked_for()
    async with AsyncExitStack() as stack:
        for sentence in SENTENCES[-tabs:]:
            asked = {"pair": "tiny", "sentence": sentence, "original": "quick", "positions": "all"}
            visit = Viewer.visit(running.url, "patching", **asked)
            await stack.enter_async_context(visit)
        async with asyncio.timeout(PATIENCE):
            while await asked_for() < before + tabs:
                await asyncio.sleep(0.01)
    await idle(running)


@dataclass
class Sweeping:
    """A session that asks for sweeps without pause, as long as the block runs."""

    running: Server
    asked: int = 0
    _task: asyncio.Task | None = field(default=None, repr=False)

    async def __aenter__(self) -> Sweeping:
        begun = asyncio.Event()
        self._task = asyncio.create_task(self._sweep(begun))
        await begun.wait()
        return self

    async def __aexit__(self, *ended: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _sweep(self, begun: asyncio.Event) -> None:
        visit = Viewer.visit(self.running.url, "patching", pair="tiny", positions="all")
        async with visit as viewer:
            await viewer.until(lambda viewer: bool(viewer.charts), PATIENCE)
            begun.set()
            while True:
                runs = viewer.runs
                await viewer.edit("Sentence", SENTENCES[-1 - self.asked % 100])
                self.asked += 1
                await viewer.until(lambda viewer: viewer.runs > runs, PATIENCE)


async def first_figures(running: Server, sentences: Sequence[str]) -> list[float]:
    """One session, one edit after the other; seconds until each answer."""
    async with Viewer.visit(running.url, pair="tiny") as viewer:
        await viewer.until(lambda viewer: bool(viewer.charts), PATIENCE)
        return await answered(viewer, sentences)


def cpu(running: Server) -> float:
    """Seconds that the server's process has computed."""
    times = psutil.Process(running.pid).cpu_times()
    return float(times.user + times.system)


def memory(running: Server) -> int:
    """Bytes that the server's process holds."""
    return int(psutil.Process(running.pid).memory_info().rss)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
