"""Origin and paths in a browser: the figure and its sentence in sight, clicks that choose, closer looks that fill."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.test_explore import LIES_BETWEEN


def click_in(page: Page, chart: Locator, right: float, down: float) -> None:
    """Click in a chart's axes, so far from their left upper corner, as shares of them."""
    chart.scroll_into_view_if_needed()
    at = chart.evaluate(
        "(plot, [right, down]) => {"
        "const {xaxis: x, yaxis: y} = plot._fullLayout, box = plot.getBoundingClientRect();"
        "return [box.x + x._offset + x._length * right, box.y + y._offset + y._length * down] }",
        [right, down],
    )
    page.mouse.move(*at)
    page.mouse.click(*at)


def test_the_maps_are_in_sight_and_a_cell_or_a_bar_of_a_closer_look_chooses_a_head(viewer):
    page = viewer.page
    page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("origin", origin="layers")
    expect(page.locator(".st-key-finding")).to_contain_text(re.compile(r"^L\dH\d moves \d+% of the gap by its output"))
    expect(page.locator(".st-key-sweep_progress")).to_contain_text("all 64 exact")
    page.wait_for_function(LIES_BETWEEN, arg=[".st-key-origin .js-plotly-plot", 0, 720])
    # The third cell of the first map's second row: each map has 4 layers of 8 heads.
    click_in(page, page.locator(".st-key-origin .js-plotly-plot"), 2.5 / 8, 1.5 / 4)
    expect(page).to_have_url(re.compile("head=L1H2"))
    expect(page.locator(".st-key-head_numbers")).to_contain_text("L1H2")
    expect(page.locator(".st-key-section")).to_contain_text("all exact")
    chart = page.locator(".st-key-changed_layers .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    layer, *at = chart.evaluate(
        "plot => { const box = path => path.getBoundingClientRect(), bars = [...plot.querySelectorAll('.point path')];"
        "const {x, y, width, height} = bars.map(box).sort((a, b) => b.height - a.height)[0];"
        "const {xaxis} = plot._fullLayout, from = plot.getBoundingClientRect().x + xaxis._offset;"
        "return [Math.round(xaxis.p2c(x + width / 2 - from)), x + width / 2, y + height / 2] }"
    )
    page.mouse.move(*at)
    page.mouse.click(*at)
    assert layer != 1
    expect(page).to_have_url(re.compile(rf"head=L{layer}H\d"))


def test_a_click_on_a_sender_follows_the_path_backwards(viewer):
    page = viewer.page
    viewer.open("head?head=L2H6&path=L2H6")
    expect(page.locator(".st-key-fold_paths")).to_contain_text("all exact")
    viewer.settle()
    # Rows of the embedding and the layers 0 and 1; columns of 8 heads and the MLP.
    click_in(page, page.locator(".st-key-paths .js-plotly-plot"), 3.5 / 9, 2.5 / 3)
    expect(page).to_have_url(re.compile(r"path=L2H6(,|%2C)L1H3"))
    expect(page.locator(".st-key-path_trail")).to_contain_text(re.compile("L2H6.*L1H3"))
    expect(page.locator(".st-key-paths")).to_contain_text(re.compile("queries of L1H3|queries \\(q\\) of L1H3"))
    page.get_by_role("button", name="L2H6", exact=True).click()
    expect(page).to_have_url(re.compile(r"path=L2H6(&|$)"))
