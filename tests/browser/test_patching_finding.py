"""What the Patching page says of its map, and where both stand."""

import re

from playwright.sync_api import expect

from tests.browser.test_explore import LIES_BETWEEN


def test_the_finding_names_the_head_that_moves_most_and_the_map_is_in_sight(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("patching")
    found = viewer.page.locator(".st-key-finding")
    expect(found).to_contain_text(re.compile(r"^L\dH\d alone moves \d+% of the gap; it looks at “"))
    expect(viewer.page.locator(".st-key-sweep_progress")).to_contain_text("all 32 exact")
    expect(found).not_to_contain_text("so far")
    viewer.page.wait_for_function(LIES_BETWEEN, arg=[".st-key-patching .js-plotly-plot", 0, 720])
    controls = viewer.page.locator(".st-key-patch_controls").bounding_box()
    assert viewer.page.locator(".st-key-patching .js-plotly-plot").bounding_box()["y"] < controls["y"]
