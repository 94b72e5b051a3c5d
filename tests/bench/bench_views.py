"""What a viewer waits for on a recorded prompt: another page, another head, and large figures.

Milliseconds from the click to the new figures, seen by the page itself. Tiny pair, and the real one where it is
installed; and for size a random pair of 32 layers × 32 heads on a prompt of some 40 tokens.
"""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.bench_app import USABLE, timed_server
from tests.bench.real_pair import REAL, installed
from tests.browser.chromium import ARGS, find
from tests.random_llama import random_llama
from tests.random_models import fine_tuned
from tests.random_tokenizers import byte_level

ROUNDS = 5
SIZE = {"width": 1280, "height": 900}
# A page's figures: its plots are drawn and name what they should. Arguments: the page's first plot, a text in it.
DRAWN = """([key, text]) => {
  const plot = document.querySelector(`.st-key-${key} .js-plotly-plot`);
  return Boolean(plot?.querySelector('.main-svg')) && plot.textContent.includes(text);
}"""
# So many canvases of a component, in its shadow root, are not blank.
GRID = """([key, count]) => {
  const canvases = root => [...root.querySelectorAll('*')].flatMap(element =>
    element.shadowRoot ? canvases(element.shadowRoot) : element.tagName === 'CANVAS' ? [element] : []);
  const inked = canvas => canvas.width && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    .data.some(value => value);
  const component = document.querySelector(`.st-key-${key}`);
  return Boolean(component) && canvases(component).filter(inked).length >= count;
}"""
WATCH = """([condition, ...rest]) => {
  const met = eval(condition);
  window.took = null;
  for (const act of ['pointerdown', 'keydown']) addEventListener(act, () => {
    const began = performance.now();
    const look = () => met(rest) ? window.took ??= performance.now() - began : requestAnimationFrame(look);
    requestAnimationFrame(look);
  }, {capture: true, once: true});
}"""
# page → its first plot
PAGES = {"Attribution": "layer_attribution", "Attention": "attention_colon", "Head": "head_attention_by_token"}


def milliseconds(page: Page, act: Callable[[], None], condition: str, *rest) -> float:
    """Milliseconds from the click or key of `act` until the condition holds, which it must not before."""
    page.wait_for_timeout(700)
    assert not page.evaluate(condition, rest), "the figure looked for is there before"
    page.evaluate(WATCH, [condition, *rest])
    act()
    page.wait_for_function("window.took !== null", timeout=30_000)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    return page.evaluate("window.took")


def switch(page: Page, name: str, condition: str, *rest) -> float:
    link = page.locator(".st-key-pages").get_by_role("link", name=name)
    return milliseconds(page, link.click, condition, *rest)


def switches(page: Page) -> list[float]:
    """Every page in turn."""
    return [switch(page, name, DRAWN, key, "") for name, key in PAGES.items()]


def other_heads(page: Page, heads: list[str]) -> list[float]:
    """On the page of one head, by its picker."""
    picker = page.get_by_label("Head", exact=True)
    took = []
    for head in heads:
        picker.fill(head)
        took.append(milliseconds(page, lambda: picker.press("Enter"), DRAWN, "head_attention_by_token", head))
    return took


def large(page: Page) -> tuple[float, float]:
    """The Attention page of 32 × 32 heads: its first map, and every head of a layer, each until it is drawn."""
    heatmap = switch(page, "Attention", DRAWN, "attention_colon", "")
    page.wait_for_timeout(2000)
    switch(page, "Explore", DRAWN, "summary", "")
    return heatmap, switch(page, "Attention", GRID, "layer_grid", 32)


def write_pair(folder: Path) -> dict[str, str]:
    base = random_llama(layers=32, heads=32, d_model=128, d_head=8, d_mlp=128)
    for name, model in (("base", base), ("instruct", fine_tuned(base, size=0.2 / 128**0.5))):
        model.save_pretrained(folder / name)
        byte_level().save_pretrained(folder / name)
    sentence = "The quick fox jumps over the dog, a small cat and a big bird, a large dog and a little old bird."
    return {"pair": "", "base": str(folder / "base"), "instruct": str(folder / "instruct"), "sentence": sentence}


def report(what: str, took: list[float]) -> None:
    print(f"{what}: median {statistics.median(took):.0f} ms of {len(took)} (max {max(took):.0f})")


def views(browser: Browser, pair: str, layer: int) -> None:
    with timed_server(pair) as (running, _):
        page = browser.new_page(viewport=SIZE)
        page.goto(running.url)
        page.wait_for_selector(USABLE, timeout=120_000)
        report(f"{pair}: a page for the first time", switches(page))
        report(f"{pair}: another page", [took for _ in range(ROUNDS) for took in switches(page)])
        report(f"{pair}: another head", other_heads(page, [f"L{layer}H{h}" for h in range(8)]))


def large_views(browser: Browser) -> None:
    with tempfile.TemporaryDirectory() as folder, timed_server("tiny") as (running, _):
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{running.url}?{urlencode(write_pair(Path(folder)) | {'answer': 'swift', 'patterns': 'layer'})}")
        page.wait_for_selector(USABLE, timeout=120_000)
        tokens = re.search(r"\d+ tokens", page.locator(".st-key-status").inner_text())[0]
        heatmap, grid = large(page)
        print(f"Attention of 32 × 32 heads, {tokens}: first map {heatmap:.0f} ms, every head of a layer {grid:.0f} ms")


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGS)
        views(browser, "tiny", layer=1)
        if installed():
            views(browser, REAL, layer=20)
        large_views(browser)
        browser.close()


if __name__ == "__main__":
    main()
