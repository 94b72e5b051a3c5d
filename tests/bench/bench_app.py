"""The app in a headless Chromium: how long until the frame stands, until the first figures, and after Enter.

A fresh server and a fresh browser context per start; the browser itself runs already, as a viewer's does.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import ARGS, find
from tests.browser.server import server

STARTS, EDITS = 3, 20
NOUNS = ("fox", "dog", "cat", "horse", "bird", "bear", "wolf", "lion", "king", "queen")
ADJECTIVES = ("quick", "tired")
USABLE = '.st-key-status :text("forward passes"), .st-key-status :text("recorded before")'
FIGURES = "() => [...document.querySelectorAll('[data-testid=stMetricValue]')].map(e => e.innerText).join()"
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
def timed_server() -> Iterator[tuple[str, float]]:
    """A fresh server's address and the seconds until it was healthy."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as running:
        yield running.url, time.perf_counter() - start


def first_page(browser: Browser) -> tuple[float, float, float]:
    """Seconds from the server's start to healthy, from the visit to the frame, from the server's start to figures."""
    with timed_server() as (url, healthy):
        page, visit = browser.new_page(), time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("h3")
        frame = time.perf_counter() - visit
        page.wait_for_selector(USABLE, timeout=60_000)
        usable = healthy + time.perf_counter() - visit
        page.close()
    return healthy, frame, usable


def enter_to_figure(page: Page) -> list[float]:
    """Milliseconds from Enter to the new logit difference, for sentences that were not seen before."""
    took = []
    for n in range(EDITS):
        adjective, noun = ADJECTIVES[n % 2], NOUNS[n // 2]
        box = page.get_by_label("Sentence", exact=True).first
        box.fill(f"The {adjective} {noun} runs over the hill.")
        page.evaluate(WATCH)
        box.press("Enter")
        page.wait_for_function("window.took !== null", timeout=20_000)
        took.append(page.evaluate("window.took"))
        page.wait_for_timeout(700)
    return took


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGS)
        starts = [first_page(browser) for _ in range(STARTS)]
        for name, values in zip(("server start to healthy", "visit to frame", "server start to figures"), zip(*starts)):
            print(
                f"{name}: median {statistics.median(values):.2f} s of {STARTS} ({min(values):.2f} to {max(values):.2f})"
            )
        with timed_server() as (url, _):
            page = browser.new_page()
            page.goto(url)
            page.wait_for_selector(USABLE, timeout=60_000)
            page.wait_for_timeout(2000)
            took = enter_to_figure(page)
        print(
            f"Enter to new logit difference: median {statistics.median(took):.0f} ms of {EDITS} (max {max(took):.0f})"
        )
        browser.close()


if __name__ == "__main__":
    main()
