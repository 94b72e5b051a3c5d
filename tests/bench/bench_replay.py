"""The first visit to a fresh server with the shipped gallery, and an experiment of the day before after a restart.

Torch is held back throughout, so that nothing but what is on disk can be shown. A visit is measured from its first byte
to the last of the page's figures, by the page's own clock; server time is one run of a page's script in a process in
which everything but torch is imported. What the browser and Streamlit take by themselves is measured beside it, on a
page with one chart and nothing else (`one_chart.py`), turn by turn, so that a slow moment is in all of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from core.models.pairs import default_pair
from tests.browser.chromium import ARGS, find
from tests.browser.server import ROOT, server
from tests.gallery import PAGES

VISITS = 5
# Both resolve to the milliseconds since the first byte: once the script has ended and nothing is awaited, and once all
# charts are drawn besides, which is the browser's own work.
SINCE = "performance.now() - performance.getEntriesByType('navigation')[0].responseStart"
ANSWERED = f"""() => {{
  const status = document.querySelector('.st-key-status');
  const rests = document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]');
  return rests && status && status.innerText.includes('recorded before') ? {SINCE} : null;
}}"""
DRAWN = f"""() => {{
  const charts = [...document.querySelectorAll('[data-testid=stPlotlyChart]')];
  return charts.length && charts.every(chart => chart.querySelector('.main-svg')) ? {SINCE} : null;
}}"""


def visit(browser: Browser, page_name: str, folder: Path, app: str = "app.py") -> tuple[float, float]:
    """Seconds from a fresh server's first byte to the page's answers and to its last chart, torch asleep."""
    held = folder / "held"
    held.touch()
    held.with_suffix(".woken").unlink(missing_ok=True)
    cache = {"REPHRASE_CACHE": str(folder / "cache"), "REPHRASE_STORE_MB": "512", "REPHRASE_SHIPPED": "1"}
    with server(folder / "log", "tests.bench.replay_server", app, HOLD_TORCH=str(held), **cache) as running:
        page = browser.new_page()
        page.goto(f"{running.url}{page_name}", wait_until="commit")
        took = [page.wait_for_function(each, polling=10, timeout=60_000).json_value() for each in (ANSWERED, DRAWN)]
        assert not held.with_suffix(".woken").exists(), "something has imported torch"
        page.close()
        held.unlink()
    return took[0] / 1000, took[1] / 1000


def replays(browser: Browser, folder: Path) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Each page and the seconds of its visits, at the end those of the page with one chart."""
    apps = {f"/{page}": (page, "app.py") for page in PAGES} | {"one chart": ("", "tests/bench/one_chart.py")}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in apps}
    for name in apps:
        (folder / name.strip("/")).mkdir(exist_ok=True)
    for _ in range(VISITS):
        for name, (page, app) in apps.items():
            took[name].append(visit(browser, page, folder / name.strip("/"), app))
    yield from took.items()


def server_time(folder: Path) -> dict[str, float]:
    """Page → seconds of its script's first run in a process begun after the answers were kept."""
    for act in ("keep", "show"):
        command = [sys.executable, "-m", "tests.bench.replay_run", act, str(folder)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    pair = default_pair()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGS)
        for name, visits in replays(browser, Path(folder)):
            for until, took in zip(("answers", "last chart"), zip(*visits)):
                print(
                    f"{pair}: replay of {name}: first byte to {until}: median {statistics.median(took):.2f} s of "
                    f"{VISITS} ({min(took):.2f} to {max(took):.2f}), torch asleep"
                )
        browser.close()
    with tempfile.TemporaryDirectory() as folder:
        for page, seconds in server_time(Path(folder)).items():
            print(f"{pair}: after a restart: /{page}: {1000 * seconds:.0f} ms of server time")


if __name__ == "__main__":
    main()
