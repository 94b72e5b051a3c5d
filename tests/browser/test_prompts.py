"""The page Prompts in a browser: its figure in sight, a file of one's own, a clicked prompt that opens in Explore."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.test_explore import LIES_BETWEEN

OWN = """instruction,sentence,original,answers
Rephrase all the adjectives of the following sentence,The big dog sleeps in the old house.,big,large
Rephrase all the adjectives of the following sentence,The old dog sleeps.,young,new
"""
POINT = """plot => {
  const { xaxis: x, yaxis: y } = plot._fullLayout, box = plot.getBoundingClientRect(), { x: xs, y: ys } = plot.data[0];
  return [box.x + x._offset + x.d2p(xs[0]), box.y + y._offset + y.d2p(ys[0])];
}"""


def test_a_file_of_ones_own_is_run_its_bad_row_is_named_and_a_clicked_prompt_opens_in_explore(viewer):
    page = viewer.page
    page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("prompts", sample="12", set_part="rows")
    expect(page.locator(".st-key-finding")).to_contain_text("Over 12 prompts BASE prefers the original")
    page.wait_for_function(LIES_BETWEEN, arg=[".st-key-set_scatter .js-plotly-plot", 0, 720])
    page.locator(".st-key-own_set button").click()
    large = {"name": "large.csv", "mimeType": "text/csv", "buffer": b"x" * 5_000_000}
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(large)
    refused = page.get_by_text("File must be 4.0MB or smaller")
    expect(refused).to_be_visible()
    assert refused.bounding_box()["height"] > 10
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "mine.csv", "mimeType": "text/csv", "buffer": OWN.encode()}
    )
    expect(page.locator(".st-key-finding")).to_contain_text("On one prompt")
    expect(page.locator(".st-key-section")).to_contain_text("1 row is left out")
    viewer.settle()
    page.keyboard.press("Escape")
    plot = page.locator(".st-key-set_scatter .js-plotly-plot")
    expect(plot.locator(".main-svg .gtitle")).to_have_count(1)
    page.mouse.click(*plot.evaluate(POINT))
    expect(page).to_have_url(re.compile(r"/\?.*sentence=The\+big\+dog"))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("“large” or repeat “big”"))
