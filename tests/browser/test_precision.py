"""Half precision on screen: what it does to the gap, what is within its noise, and cells recomputed in float32."""

from __future__ import annotations

import re

from playwright.sync_api import expect

MAP = ".st-key-patching .js-plotly-plot"


def test_a_dtype_below_the_stored_one_is_named_with_both_gaps_and_others_are_not(viewer):
    viewer.open("", dtype="bfloat16")
    bar = viewer.page.locator(".st-key-prompt_bar")
    said = re.compile(r"bfloat16 is below the stored float16: gap \+\d\.\d\d here, \+\d\.\d\d in float32")
    expect(bar).to_contain_text(said, timeout=60_000)
    viewer.open("", dtype="float32")
    expect(bar).not_to_contain_text("below the stored")


def test_the_tables_cells_are_recomputed_in_float32_on_demand(viewer):
    viewer.open("patching", dtype="bfloat16", part="set")
    page = viewer.page
    expect(page.locator(".st-key-sweep_progress")).to_contain_text("all 32 exact", timeout=60_000)
    names = page.locator(MAP).first.evaluate("plot => plot.data.map(trace => trace.name)")
    assert "within the noise floor" in names
    page.get_by_text("Recompute in float32").click()
    expect(page.locator(".st-key-below_top_patching_heads")).to_contain_text(
        re.compile(r"In float32 the gap is \+\d\.\d\d, in bfloat16 \+\d\.\d\d"), timeout=60_000
    )
    expect(page).to_have_url(re.compile("recomputed=1"))
    viewer.settle()
    viewer.open("patching", dtype="float32", part="set")
    expect(page.locator(".st-key-top_heading")).to_be_visible()
    expect(page.get_by_text("Recompute in float32")).to_have_count(0)
