"""The Attribution page, as a viewer meets it."""

import re

from playwright.sync_api import expect

from tests.browser.test_explore import LIES_BETWEEN


def test_a_clicked_cell_chooses_its_head_and_the_address_keeps_it(viewer):
    viewer.open("attribution")
    chart = viewer.page.locator(".st-key-head_attribution .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    cell = chart.evaluate(
        """plot => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          return [box.x + xaxis._offset + xaxis.l2p(2), box.y + yaxis._offset + yaxis.l2p(1)];
        }"""
    )
    viewer.page.mouse.move(*cell)
    viewer.page.mouse.click(*cell)
    expect(viewer.page.locator(".st-key-chosen_head")).to_contain_text("L1H2")
    expect(viewer.page).to_have_url(re.compile("head=L1H2"))


def test_every_identity_holds_and_both_scales_are_shown(viewer):
    viewer.open("attribution")
    viewer.page.locator(".st-key-badges").get_by_text("All checks passed").click()
    badges = viewer.page.locator(".st-key-badges").get_by_test_id("stExpanderDetails")
    expect(badges).to_be_visible()
    expect(badges.get_by_text("check", exact=True)).to_have_count(8)
    assert badges.get_by_text("close", exact=True).count() == 0
    expect(badges).to_contain_text("final scale")


def test_projecting_on_one_models_direction_is_kept_in_the_address(viewer):
    viewer.open("attribution")
    viewer.page.locator(".st-key-input_project").get_by_text("INSTRUCT's").first.click()
    expect(viewer.page).to_have_url(re.compile("project=instruct"))


def test_the_page_of_a_deep_link_comes_up_without_a_detour(viewer):
    viewer.open("attribution", sentence="The tired fox jumps over the dog.", original="tired")
    expect(viewer.page.get_by_text("Page not found")).to_have_count(0)
    expect(viewer.page.get_by_role("heading", name="Where is the logit difference written?")).to_be_visible()


def test_the_finding_and_the_depth_come_first_and_what_is_projected_on_below_them(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("attribution")
    expect(viewer.page.locator(".st-key-finding")).to_contain_text(re.compile(r"L\dH\d"))
    viewer.page.wait_for_function(LIES_BETWEEN, arg=[".st-key-logit_lens .js-plotly-plot", 0, 720])
    parts = ("finding", "logit_lens", "layer_attribution", "input_project", "badges")
    tops = [viewer.page.locator(f".st-key-{part}").first.bounding_box()["y"] for part in parts]
    assert tops == sorted(tops)
