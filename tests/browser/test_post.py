"""The page Post in a browser: keys go through the steps, on the stage too; a report opens without a network."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.test_downloads import downloaded
from tests.browser.test_explore import LIES_BETWEEN
from tests.browser.test_stage import FITS, press

GAP_STANDS_FREE = """() => {
  const plot = document.querySelector('.js-plotly-plot[data-fitted]'), box = element => element.getBoundingClientRect();
  const ends = [...plot?.querySelectorAll('.scatterlayer .points path') ?? []].map(end => box(end).right);
  const text = plot?.querySelector('.annotation-text');
  return ends.length && text && box(text).left > Math.max(...ends) && box(text).right <= box(plot).right
    && (box(plot).right - box(text).right < 6 || parseFloat(getComputedStyle(text).fontSize) > 20);
}"""


def test_keys_go_through_the_steps_and_one_screen_holds_each(viewer):
    page = viewer.page
    page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("post")
    # The gap's number stands beside its line in a narrow chart too.
    page.wait_for_function(GAP_STANDS_FREE)
    press(viewer, "n")
    expect(page).to_have_url(re.compile("step=layers"))
    page.wait_for_function(LIES_BETWEEN, arg=[".st-key-post_layers .js-plotly-plot", 0, 720])
    expect(page.locator(".st-key-finding")).to_contain_text("in the post")
    press(viewer, "b")
    expect(page.get_by_role("heading", name=re.compile("1 of 9"))).to_be_visible()
    viewer.settle()
    press(viewer, "p")
    expect(page).to_have_url(re.compile("stage=1"))
    viewer.settle()
    page.wait_for_function(FITS)
    press(viewer, "PageDown")
    expect(page).to_have_url(re.compile("step=layers"))
    page.wait_for_function(LIES_BETWEEN, arg=[".st-key-post_layers .js-plotly-plot", 0, 720])
    viewer.settle()


def test_a_report_opens_with_the_network_closed(viewer, chromium, tmp_path):
    viewer.open("patching")
    report = downloaded(viewer, viewer.page.locator(".st-key-export_html button").first.click)
    assert report.suggested_filename.startswith("report_tiny_The-quick-fox-")
    file = tmp_path / "report.html"
    report.save_as(file)
    context = chromium.new_context(offline=True)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto(file.as_uri())
    figures = page.locator("section [id^=figure-]")
    expect(page.locator("section [id^=figure-] .main-svg").first).to_be_visible()
    assert figures.count() == page.locator(".js-plotly-plot").count() >= 5
    with page.expect_download() as svg:
        page.get_by_role("button", name="SVG").first.click()
    assert svg.value.suggested_filename == "summary.svg"
    assert "Patches of z, INSTRUCT → BASE" in page.content()
    context.close()
    assert not complaints
