"""Compare A with B, and the history, as a speaker meets them: by key, by address, back and forward, on the stage."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from cache.service import Service
from core.experiment import Experiment
from core.settings import Settings
from tests.browser.server import server
from tests.browser.test_access import AXE, BACKGROUNDS, CROWDED, on_a_page_of, script
from tests.browser.test_stage import SCREEN, press

BEAR = {"sentence": "The tired bear sleeps.", "original": "tired"}
LINK = {"pair": "tiny", "compare": "1", "b_sentence": BEAR["sentence"], "b_original": BEAR["original"]}
PAGES = ("", "attribution", "patching", "attention", "head")
# Of the compared bars: A's, B's, and their difference.
BARS = "() => [...document.querySelector('.st-key-compared_summary .js-plotly-plot').data].map(bar => [...bar.x])"
# Nothing is cut off, nothing overlaps, nothing is to be scrolled for.
FITS = """() => {
  const main = document.querySelector('.stMain'), chart = document.querySelector('.js-plotly-plot');
  if (!chart || main.scrollHeight > main.clientHeight || main.scrollWidth > main.clientWidth) return false;
  const parts = ['.st-key-stage_pages', '.st-key-prompt_bar', '.st-key-compare_bar', '.st-key-compared_findings',
    '.js-plotly-plot'];
  const boxes = parts.map(part => document.querySelector(part).getBoundingClientRect());
  return boxes.every((box, n) => box.bottom <= (n + 1 < boxes.length ? boxes[n + 1].top : innerHeight) + 1);
}"""


@pytest.fixture(scope="module")
def apart():
    """experiment → BASE's and INSTRUCT's logit difference and the gap, computed by a service of its own."""
    on = Service(Settings())

    def answer(**changes: str) -> list[float]:
        experiment = Experiment(pair="tiny", **changes)
        job = on.ask("overview", experiment, "me")
        assert job.wait(120) and job.state == "done", job.error
        return [*map(float, job.result.summary.logit_diff), job.result.summary.gap]

    yield answer
    assert on.worker.stop()


def bar(viewer):
    return viewer.page.locator(".st-key-compare_bar")


def shown(viewer, a: list[float], b: list[float]) -> None:
    """Expect the bars of both and of their difference."""
    viewer.page.wait_for_function(
        f"""expected => {{
          const bars = document.querySelector('.st-key-compared_summary .js-plotly-plot') && ({BARS})();
          return bars && expected.every((row, n) => row.every((v, m) => Math.abs(v - bars[n][m]) < 1e-3));
        }}""",
        arg=[a, b, np.subtract(b, a).tolist()],
    )


def test_a_key_keeps_a_edits_are_bs_and_the_key_ends_it(viewer, apart):
    viewer.open()
    press(viewer, "c")
    expect(bar(viewer)).to_contain_text("the same as B")
    expect(viewer.page).to_have_url(re.compile("compare=1"))
    viewer.settle()
    viewer.type("Sentence", BEAR["sentence"])
    expect(bar(viewer)).to_contain_text("sentence “The quick fox jumps over the dog.” · word “quick”")
    shown(viewer, apart(), apart(**BEAR))
    expect(viewer.page).to_have_title(re.compile(r"^Explore · quick → swift \| tired → \w+ · REPHRASE"))
    press(viewer, "c")
    expect(bar(viewer)).to_have_count(0)
    expect(viewer.page).not_to_have_url(re.compile("compare|b_"))
    expect(viewer.page).to_have_title(re.compile(r"^Explore · tired → \w+ · REPHRASE"))
    assert len(viewer.figures) == 3


def test_a_link_opens_the_comparison_on_a_fresh_server_and_back_leaves_it(tmp_path, viewer_of, apart):
    with server(tmp_path / "log") as fresh:
        viewer = viewer_of(fresh)
        viewer.open(**LINK)
        shown(viewer, apart(), apart(**BEAR))
        viewer.page.get_by_role("button", name="Close").click()
        expect(bar(viewer)).to_have_count(0)
        expect(viewer.page).to_have_url(re.compile(r"\?pair=tiny&sentence=The\+tired"))
        viewer.settle()
        viewer.page.go_back()
        shown(viewer, apart(), apart(**BEAR))
        viewer.settle()
        viewer.page.go_forward()
        expect(bar(viewer)).to_have_count(0)
        viewer.settle()


def test_a_and_b_change_places(viewer, apart):
    viewer.open(**LINK)
    viewer.page.get_by_role("button", name="Swap").click()
    shown(viewer, apart(**BEAR), apart())
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_have_value("The quick fox jumps over the dog.")


@pytest.mark.parametrize("path", PAGES)
def test_a_comparison_is_readable_by_all_in_both_themes_and_on_a_telephone(viewer_of, path):
    viewer = viewer_of(color_scheme="light", viewport=SCREEN)
    page = viewer.open(path, **LINK).page
    figures = page.locator("[class*=st-key-compared_]").get_by_test_id("stPlotlyChart")
    expect(figures.first).to_have_accessible_name(re.compile(r"\. Largest: .+\d"))
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator("[class*=st-key-csv_compared_]").first).to_be_attached()
    page.evaluate(script())
    for scheme in ("light", "dark"):
        on_a_page_of(viewer, scheme)
        assert page.evaluate(AXE) == [], scheme
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(f"(({CROWDED})()).length === 0")


def test_on_the_stage_every_comparison_is_one_screen(viewer_of):
    speaker = viewer_of(viewport=SCREEN)
    for path in PAGES:
        speaker.open(path, **LINK, stage="1")
        speaker.page.wait_for_function(FITS)
    answer = speaker.page.get_by_label("Answer: the replacement").first
    expect(answer).to_have_value("")
    assert answer.get_attribute("placeholder") not in ("", "INSTRUCT's own")


def test_the_history_lists_what_was_shown_returns_to_it_and_compares_with_it(viewer, apart):
    viewer.open()
    viewer.type("Sentence", BEAR["sentence"])
    listed = viewer.page.get_by_role("dialog", name="History")
    press(viewer, "h")
    entries = listed.get_by_role("listitem")
    expect(entries).to_have_count(2)
    expect(entries.nth(0)).to_contain_text(BEAR["sentence"])
    expect(entries.nth(0).locator("[aria-current]")).to_have_count(1)
    expect(entries.nth(1).locator("[aria-current]")).to_have_count(0)
    base, instruct, gap = (f"{value:+.2f}".replace("-", "−") for value in apart())
    expect(entries.nth(1)).to_contain_text(f"BASE {base} · INSTRUCT {instruct} · gap {gap}")
    page = viewer.page
    page.evaluate(script())
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator(".stApp")).to_have_css("background-color", BACKGROUNDS[scheme])
        assert page.evaluate(AXE) == [], scheme
    # Behind the list no other key does anything, and its own closes it.
    viewer.page.keyboard.press("p")
    viewer.page.keyboard.press("h")
    expect(listed).to_be_hidden()
    expect(viewer.page).not_to_have_url(re.compile("stage"))
    viewer.page.get_by_role("button", name="History").click()
    entries.nth(1).get_by_role("button").first.click()
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_have_value("The quick fox jumps over the dog.")
    viewer.settle()
    press(viewer, "u")
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_have_value(BEAR["sentence"])
    viewer.settle()
    press(viewer, "h")
    expect(entries).to_have_count(2)
    entries.nth(1).get_by_role("button", name="Compare").click()
    shown(viewer, apart(), apart(**BEAR))
