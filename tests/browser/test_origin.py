"""The page Origin in a browser: the figure and its sentence in sight, a click that chooses, a closer look."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.test_explore import LIES_BETWEEN


def test_the_maps_are_in_sight_a_cell_chooses_its_head_and_a_closer_look_fills(viewer):
    page = viewer.page
    page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("origin", origin="layers")
    expect(page.locator(".st-key-finding")).to_contain_text(re.compile(r"^L\dH\d moves \d+% of the gap by its output"))
    expect(page.locator(".st-key-sweep_progress")).to_contain_text("all 64 exact")
    page.wait_for_function(LIES_BETWEEN, arg=[".st-key-origin .js-plotly-plot", 0, 720])
    chart = page.locator(".st-key-origin .js-plotly-plot")
    # The third cell of the first map's second row: each map has 4 layers of 8 heads.
    box = chart.evaluate(
        "plot => { const {xaxis: x, yaxis: y} = plot._fullLayout, box = plot.getBoundingClientRect();"
        "return [box.x + x._offset + x._length * 2.5 / 8, box.y + y._offset + y._length * 1.5 / 4] }"
    )
    page.mouse.move(*box)
    page.mouse.click(*box)
    expect(page).to_have_url(re.compile("head=L1H2"))
    expect(page.locator(".st-key-head_numbers")).to_contain_text("L1H2")
    expect(page.locator(".st-key-section")).to_contain_text("all exact")
    expect(page.locator(".st-key-changed_layers .js-plotly-plot")).to_be_visible()
