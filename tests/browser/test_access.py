"""Who cannot see a page, or has no mouse, or a small screen, or a dark one: every page is for them too."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from importlib.resources import files

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.browser.test_prompt_bar import placed

PAGES = {
    "": ("Explore", 2),
    "attribution": ("Attribution", 3),
    "patching": ("Patching", 1),
    "origin": ("Origin", 3),
    "attention": ("Attention", 3),
    "head": ("Head", 1),
    "prompts?sample=12": ("Prompts", 4),
    "post": ("Post", 1),
    "models": ("Models", 0),
}
AXE = """async () => {
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(
    ({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`));
}"""
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}
# Texts of figures whose contrast with the page is below 4.5; numbers within a map's cells stand on the cells' colour.
FAINT = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(
    v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  ).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const page = numbers(getComputedStyle(document.querySelector('.stApp')).backgroundColor);
  return [...document.querySelectorAll('.js-plotly-plot text')].filter(text => text.textContent.trim()).flatMap(
    text => {
      const style = getComputedStyle(text), alpha = Number(style.fillOpacity) * (numbers(style.fill)[3] ?? 1);
      const ink = numbers(style.fill).slice(0, 3).map((v, i) => alpha * v + (1 - alpha) * page[i]);
      const [low, high] = [luminance(ink), luminance(page)].sort((a, b) => a - b);
      const contrast = (high + 0.05) / (low + 0.05);
      return contrast < 4.5 ? [`${text.textContent}: ${contrast.toFixed(2)}`] : [];
    });
}"""
# What of the figures is cut off, or lies on its neighbour, and whether the page is wider than the window.
CROWDED = """() => {
  const main = document.querySelector('.stMain'), found = [];
  if (main.scrollWidth > innerWidth) found.push(`the page is ${main.scrollWidth} wide`);
  for (const plot of document.querySelectorAll('.js-plotly-plot')) {
    const box = plot.getBoundingClientRect();
    const boxes = [...plot.querySelectorAll(
      '.gtitle, .gtitle-subtitle, .annotation-text, .bartext, .legendtext, .ytitle, .y2title, [class$=tick] text'
    )].filter(text => text.textContent.trim() && getComputedStyle(text).visibility !== 'hidden').map(
      text => [text, text.getBoundingClientRect()]);
    for (const [text, { left, right }] of boxes)
      if (left < box.left - 1 || right > box.right + 1) found.push(`cut off: ${text.textContent}`);
    boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
      const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (wide > 2 && high > 3) found.push(`on each other: ${a.textContent} | ${b.textContent}`);
    }));
  }
  return found;
}"""
# The colour of a map's zero, as the figure has it, and the page's.
ZEROS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => plot._fullLayout?.coloraxis)
  .filter(axis => axis?.colorscale).map(axis => axis.colorscale.find(([at]) => at === (axis.cmin < 0 ? 0.5 : 0))[1])"""
SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => list.getEntries().forEach(entry => window.shifts.push([
  entry.value, ...entry.sources.map(({ node, previousRect: from, currentRect: to }) =>
    `${node?.className ?? node?.nodeName}: ${from.y} + ${from.height} -> ${to.y} + ${to.height}`)]))
).observe({ type: 'layout-shift' });
"""


def script() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def on_a_page_of(viewer, scheme: str) -> None:
    """Have the whole page in a light or a dark theme: figures are drawn anew for it."""
    viewer.page.emulate_media(color_scheme=scheme)
    expect(viewer.page.locator(".stApp")).to_have_css("background-color", BACKGROUNDS[scheme])
    viewer.settle()


def drawn(viewer, charts: int) -> None:
    """Wait for a page's figures, all of them of the prompt on screen, and for its style, which comes when it may."""
    expect(viewer.page.get_by_test_id("stCaptionContainer").first).to_have_css("opacity", "0.78")
    expect(viewer.page.locator(".js-plotly-plot .main-svg .gtitle")).to_have_count(charts)
    viewer.settle()


def fits(page, *faults: str) -> None:
    """Wait until none of these finds anything, or say what they find."""
    with suppress(TimeoutError):
        page.wait_for_function(" && ".join(f"(({find})()).length === 0" for find in faults))
    assert [found for find in faults for found in page.evaluate(find)] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_named_said_in_words_readable_in_both_themes_and_fits_a_telephone(viewer_of, path):
    viewer = viewer_of(color_scheme="light", viewport={"width": 1280, "height": 900})
    page, (name, charts) = viewer.page, PAGES[path]
    viewer.open(path)
    drawn(viewer, charts)
    expect(page).to_have_title(f"{name} · quick → swift · REPHRASE Circuit Explorer")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    figures = page.get_by_test_id("stPlotlyChart")
    expect(figures).to_have_count(charts)
    for n in range(charts):
        expect(figures.nth(n)).to_have_role("figure")
        expect(figures.nth(n)).to_have_accessible_name(re.compile(r"\. Largest: .+\d"))
    page.evaluate(script())
    for scheme in ("light", "dark"):
        on_a_page_of(viewer, scheme)
        assert page.evaluate(AXE) == [], scheme
        assert page.evaluate(FAINT) == [], scheme
    page.wait_for_function(f"(({ZEROS})()).every(zero => zero === '#12161c')")
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page, CROWDED)


# Lines under figures that are too narrow to be read, and what is wider than the column that it stands in.
SQUEEZED = """() => {
  const found = [], box = element => element.getBoundingClientRect();
  for (const line of document.querySelectorAll('[class*=st-key-below_] [data-testid=stCaptionContainer]'))
    if (box(line).width < 200) found.push(`${box(line).width} px wide: ${line.textContent}`);
  for (const link of document.querySelectorAll('.stMain [data-testid=stPageLink] p'))
    if (link.scrollWidth > link.clientWidth) found.push(`cut off: ${link.textContent}`);
  return found;
}"""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_at_150_percent_is_not_squeezed_and_its_steps_hide_nothing(viewer_of, path):
    viewer = viewer_of(viewport={"width": 853, "height": 480}, device_scale_factor=1.5)
    page = viewer.page
    viewer.open(path)
    drawn(viewer, PAGES[path][1])
    fits(page, CROWDED, SQUEEZED)
    steps = page.get_by_role("complementary", name="First steps")
    expect(steps).to_be_visible()
    # In the header's strip, over nothing of the page.
    told, bar = steps.bounding_box(), page.locator(".st-key-prompt_bar").bounding_box()
    assert told["y"] >= 0 and told["y"] + told["height"] <= bar["y"]
    # Below the bar there is room for what the page finds.
    assert bar["y"] + bar["height"] < 280


@pytest.mark.parametrize("path", ["", "attribution", "patching", "origin", "attention", "head"])
def test_a_stage_is_readable_in_both_themes_and_on_a_telephone_not_overprinted(viewer_of, path):
    viewer = viewer_of(color_scheme="light", viewport={"width": 1280, "height": 720})
    page = viewer.open(path, stage="1").page
    expect(page.locator(".js-plotly-plot .main-svg .gtitle")).to_have_count(1)
    page.evaluate(script())
    for scheme in ("light", "dark"):
        on_a_page_of(viewer, scheme)
        assert page.evaluate(AXE) == [], scheme
        assert page.evaluate(FAINT) == [], scheme
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page, CROWDED)


def test_a_maps_cells_are_reached_said_and_chosen_by_keyboard_and_the_focus_stays(viewer):
    page = viewer.page
    viewer.open("attribution", head="L1H2")
    plot = page.locator(".st-key-head_attribution .js-plotly-plot")
    said = page.locator(".st-key-behind [aria-live=polite]")
    expect(plot).to_have_attribute("tabindex", "0")
    expect(plot).to_have_accessible_name(re.compile("arrow keys move, Enter chooses"))
    # From the chosen head on: to the right, down, and back along the row to its begin.
    plot.focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("L1H3, BASE: ")
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text("L2H3, BASE: ")
    expect(plot.locator(".cell-cursor")).to_have_count(3)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("head=L2H3"))
    expect(page.locator(".st-key-chosen_head")).to_contain_text("L2H3")
    expect(plot).to_be_focused()
    page.keyboard.press("Home")
    expect(said).to_contain_text("L2H0, BASE: ")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("head=L2H0"))
    expect(plot).to_be_focused()
    # The same cell again, when another head has been chosen elsewhere.
    page.go_back()
    expect(page.locator(".st-key-chosen_head")).to_contain_text("L2H3")
    viewer.settle()
    plot.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("head=L2H0"))
    # Its numbers as a table.
    page.locator(".st-key-table_of_head_attribution button").click()
    expect(page.get_by_test_id("stPopoverBody").get_by_test_id("stDataFrame")).to_be_visible()


def test_a_clicked_token_keeps_the_focus(viewer):
    viewer.open()
    token = viewer.page.get_by_role("button", name="token 6:")
    token.click()
    expect(viewer.page).to_have_url(re.compile("picked=5"))
    viewer.settle()
    expect(token).to_be_focused()


# The height of a place, and without its lines, which are gone for a moment whenever they are written anew.
EMPTIED = """place => {
  const at = document.querySelector(place), heights = [at.offsetHeight], lines = at.querySelectorAll('.stMarkdown');
  lines.forEach(line => line.style.display = 'none');
  heights.push(at.offsetHeight);
  lines.forEach(line => line.style.display = '');
  return heights;
}"""


def test_nothing_shifts_over_ten_edits(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open()
    placed(viewer)
    drawn(viewer, 2)
    viewer.page.evaluate(SHIFTS)
    for n, noun in enumerate(("fox", "dog", "cat", "horse", "bird")):
        viewer.type("Sentence", f"The {'tired' if n % 2 else 'happy'} {noun} sees the old dog.")
        viewer.type("Instruction", "Repeat the following sentence" if n % 2 else "Rephrase the following sentence")
    shifts = viewer.page.evaluate("window.shifts")
    assert sum(value for value, *_ in shifts) <= 0.1, json.dumps(shifts, indent=1)
    for place in (".st-key-finding", ".st-key-goes_on"):
        before, emptied = viewer.page.evaluate(EMPTIED, place)
        assert emptied == pytest.approx(before, abs=0.5), place
