"""Direct, indirect and controls of a head: asked for beside the map, and open on the head's own page from there."""

from __future__ import annotations

import re

import pandas as pd
from playwright.sync_api import expect


def test_what_is_asked_for_beside_the_map_stands_open_on_the_page_of_the_head(viewer):
    viewer.open("patching", head="L2H6")
    panel = viewer.page.locator(".st-key-chosen_head")
    expect(panel).not_to_contain_text("logits directly")
    panel.get_by_text("Direct, indirect, and controls").click()
    expect(panel).to_contain_text(re.compile(r"L2H6 moves BASE by [+−]\d\.\d\d logits directly"))
    expect(panel).to_contain_text("8 random changes of the same size")
    expect(viewer.page).to_have_url(re.compile("controls=1"))
    panel.get_by_text("Everything about L2H6").click()
    expect(viewer.page).to_have_url(re.compile("/head.*controls=1"))
    expect(viewer.page.locator(".st-key-fold_controls details[open]")).to_be_visible()
    chart = viewer.page.locator(".st-key-head_controls .js-plotly-plot")
    expect(chart).to_be_visible()
    expect(chart).to_contain_text("8 random changes")
    viewer.settle()
    with viewer.page.expect_download() as download:
        viewer.page.locator(".st-key-csv_head_controls button").click()
    # In each direction four parts and eight draws.
    assert len(pd.read_csv(download.value.path())) == 2 * (4 + 8)


def test_closed_again_they_are_no_part_of_the_address(viewer):
    viewer.open("head", head="L2H6", controls="1")
    expect(viewer.page.locator(".st-key-head_controls .js-plotly-plot")).to_be_visible()
    viewer.page.locator(".st-key-fold_controls summary").click()
    expect(viewer.page).not_to_have_url(re.compile("controls=1"))
    viewer.settle()
    expect(viewer.page.locator(".st-key-head_controls")).to_have_count(0)
