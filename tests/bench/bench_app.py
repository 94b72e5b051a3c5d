"""The app in a headless Chromium: how long until the frame stands, until the first figures, and after Enter.

A fresh server and a fresh browser context per start; the browser itself runs already, as a viewer's does. The tiny
pair, and the real one where it is installed; of that the sweep on Patching and the server's largest memory too.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.real_pair import REAL, installed
from tests.browser.chromium import ARGS, find
from tests.browser.server import Server, server

STARTS = 3
NOUNS = ("fox", "dog", "cat", "horse", "bird", "bear", "wolf", "lion", "king", "queen")
SENTENCES = [f"The {adjective} {noun} runs over the hill." for noun in NOUNS for adjective in ("quick", "tired")]
USABLE = '.st-key-status :text("forward passes"), .st-key-status :text("recorded before")'
SWEPT = '.st-key-sweep_progress :text("exact in")'
# The sentence that holds both logit differences and the gap.
FIGURES = "() => document.querySelector('.st-key-finding')?.innerText ?? ''"
# Milliseconds from the key press to the first changed figure, seen by the page itself.
WATCH = f"""() => {{
  const figures = {FIGURES}, old = figures();
  let pressed = null;
  window.took = null;
  const press = e => {{ if (e.key === 'Enter') pressed = performance.now(); }};
  document.addEventListener('keydown', press, {{capture: true}});
  new MutationObserver((_, self) => {{
    if (pressed !== null && figures() !== old) {{ window.took = performance.now() - pressed; self.disconnect(); }}
  }}).observe(document.body, {{subtree: true, childList: true, characterData: true}});
}}"""


@contextmanager
def timed_server(pair: str) -> Iterator[tuple[Server, float]]:
    """A fresh server that opens on the pair, and the seconds until it was healthy."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log", REPHRASE_PAIR=pair) as running:
        yield running, time.perf_counter() - start


def first_page(browser: Browser, pair: str) -> tuple[float, float, float]:
    """Seconds from the server's start to healthy, from the visit to the frame, from the server's start to figures."""
    with timed_server(pair) as (running, healthy):
        page, visit = browser.new_page(), time.perf_counter()
        page.goto(running.url, wait_until="commit")
        page.wait_for_selector("h1")
        frame = time.perf_counter() - visit
        page.wait_for_selector(USABLE, timeout=120_000)
        usable = healthy + time.perf_counter() - visit
        page.close()
    return healthy, frame, usable


def enter_to_figure(page: Page, sentences: Sequence[str] = SENTENCES) -> list[float]:
    """Milliseconds from Enter to the new logit difference, for sentences that were not seen before."""
    took = []
    for sentence in sentences:
        box = page.get_by_label("Sentence", exact=True).first
        box.fill(sentence)
        page.evaluate(WATCH)
        box.press("Enter")
        page.wait_for_function("window.took !== null", timeout=20_000)
        took.append(page.evaluate("window.took"))
        page.wait_for_timeout(700)
    return took


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held, as Linux counts it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def measure(browser: Browser, pair: str) -> None:
    starts = [first_page(browser, pair) for _ in range(STARTS)]
    for name, values in zip(("server start to healthy", "visit to frame", "server start to figures"), zip(*starts)):
        median, least, most = statistics.median(values), min(values), max(values)
        print(f"{pair}: {name}: median {median:.2f} s of {STARTS} ({least:.2f} to {most:.2f})")
    with timed_server(pair) as (running, _):
        page = browser.new_page()
        page.goto(running.url)
        page.wait_for_selector(USABLE, timeout=120_000)
        page.wait_for_timeout(2000)
        took = enter_to_figure(page)
        median, most = statistics.median(took), max(took)
        print(f"{pair}: Enter to new logit difference: median {median:.0f} ms of {len(took)} (max {most:.0f})")
        if pair == REAL:
            page.locator(".st-key-pages").get_by_role("link", name="Patching").click()
            page.wait_for_selector(SWEPT, timeout=120_000)
            print(f"{pair}: the map of every head: {page.locator(SWEPT).first.inner_text()}")
            print(f"{pair}: peak memory of the server: {peak_bytes(running.pid) / 1e9:.2f} GB")
        page.close()


def main() -> None:
    pairs = ["tiny", *([REAL] if installed() else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGS)
        for pair in pairs:
            measure(browser, pair)
        browser.close()


if __name__ == "__main__":
    main()
