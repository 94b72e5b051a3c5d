"""The Attention page and the page of one head, as a viewer meets them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Frame, expect

from tests.browser.hostile_pair import PARAMETERS, TOKENS, write_pair
from tests.browser.server import server
from tests.browser.test_explore import LIES_BETWEEN

# Keeps what is written on any canvas, in the page and in its frames.
RECORD_TEXT = """
window.written = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  window.written.push(String(text));
  return fillText.call(this, text, ...rest);
};
"""
# How a label looks on a canvas.
WRITTEN = """label => {
  const canvas = document.createElement('canvas');
  canvas.getContext('2d').fillText(label, 5, 50);
  return canvas.toDataURL();
}"""
INKED = """canvas => canvas.width > 0 &&
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value)"""


def drawn(viewer, key: str, canvases: int) -> Frame:
    """The frame of a CircuitsVis view, once its canvases are there and not blank."""
    box = viewer.page.locator(f".st-key-{key} iframe")
    box.scroll_into_view_if_needed()
    frame = box.element_handle().content_frame()
    expect(box.content_frame.locator("canvas")).to_have_count(canvases)
    for n in range(canvases):
        canvas = frame.locator("canvas").nth(n).element_handle()
        frame.wait_for_function(INKED, arg=canvas)
    return frame


def click(viewer, target) -> None:
    """Scroll first: for a moment after it Chromium gives clicks to the frame that was there before."""
    target.scroll_into_view_if_needed()
    viewer.page.wait_for_timeout(500)
    target.click()


def layer_grid(viewer):
    grid = viewer.page.locator(".st-key-layer_grid")
    grid.scroll_into_view_if_needed()
    return grid


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    listed = write_pair(tmp_path_factory.mktemp("hostile"))
    with server(listed.parent / "log", REPHRASE_PAIRS=str(listed)) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


def test_every_view_of_attention_is_drawn(viewer):
    viewer.open("attention", head="L1H2")
    for role in ("colon", "original"):
        expect(viewer.page.locator(f".st-key-attention_{role} .js-plotly-plot")).to_be_visible()
    expect(viewer.page.locator(".st-key-attention_layers .js-plotly-plot")).to_be_visible()
    drawn(viewer, "pattern", 2)
    choice = viewer.page.locator(".st-key-input_patterns")
    for part, count in (("every head of layer 1", 8), ("the listed heads", 8)):
        click(viewer, choice.get_by_text(part).first)
        grid = viewer.page.locator(".st-key-layer_grid, .st-key-listed_grid")
        expect(grid.locator("canvas")).to_have_count(count)
        expect(viewer.page.locator(".st-key-pattern iframe")).to_have_count(0)


def test_both_maps_are_in_sight_before_any_control(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("attention")
    for role in ("colon", "original"):
        plot = viewer.page.locator(f".st-key-attention_{role} .js-plotly-plot")
        expect(plot).to_contain_text("attention from “The” to")
        viewer.page.wait_for_function(LIES_BETWEEN, arg=[f".st-key-attention_{role} .js-plotly-plot", 0, 720])
        # Its labels have found room: a map that has to make some is drawn once more.
        assert plot.evaluate("plot => plot._fullLayout._size.l - plot._fullLayout.margin.l") == 0
    maps = viewer.page.locator(".st-key-attention_original").bounding_box()
    assert viewer.page.locator(".st-key-finding").bounding_box()["y"] < maps["y"]
    assert viewer.page.locator(".st-key-attention_controls").bounding_box()["y"] > maps["y"]


def test_a_viewers_frame_has_no_origin_and_no_network(viewer):
    viewer.open("attention", head="L1H2")
    frame = drawn(viewer, "pattern", 2)
    assert viewer.page.locator(".st-key-pattern iframe").get_attribute("sandbox") == "allow-scripts"
    assert frame.evaluate("self.origin") == "null"
    assert "default-src 'none'" in frame.locator("meta[http-equiv]").get_attribute("content")


def test_labels_take_the_dark_themes_colour(viewer_of):
    viewer = viewer_of(color_scheme="dark")
    viewer.open("attention", head="L1H2")
    frame = drawn(viewer, "pattern", 2)
    red, green, blue = map(int, re.findall(r"\d+", frame.evaluate("getComputedStyle(document.body).color"))[:3])
    assert min(red, green, blue) > 180


def test_a_head_clicked_in_the_layers_grid_is_chosen_everywhere(viewer):
    viewer.open("attention", head="L1H2", patterns="layer")
    click(viewer, layer_grid(viewer).get_by_role("button", name="choose L1H5"))
    expect(viewer.page.locator(".st-key-head_numbers")).to_contain_text("L1H5")
    viewer.settle()
    expect(viewer.page).to_have_url(re.compile("head=L1H5"))
    click(viewer, viewer.page.get_by_role("link", name="Everything about L1H5"))
    expect(viewer.page.get_by_role("heading", name="What does L1H5 do?")).to_be_visible()


def test_a_clicked_token_is_followed_in_a_map_of_its_own(viewer):
    viewer.open("attention")
    viewer.page.locator(".st-key-strip_base").get_by_role("button", name=re.compile("^token 3:")).click()
    expect(viewer.page.locator(".st-key-attention_picked .js-plotly-plot")).to_be_visible()
    viewer.settle()
    expect(viewer.page).to_have_url(re.compile("picked=2"))


def test_a_long_prompt_keeps_its_positions_in_the_views(viewer):
    viewer.open("attention", sentence="The quick fox runs over the dog, " + "a small cat and " * 10 + "a big bird.")
    frame = drawn(viewer, "pattern", 2)
    first = viewer.page.locator(".st-key-strip_base button").count() - 48
    assert first > 10
    # As CircuitsVis labels the first position that it is given, and as the page itself writes the true one.
    assert frame.evaluate(WRITTEN, "cat (0)") == viewer.page.evaluate(WRITTEN, f"cat ({first + 1})")
    assert frame.evaluate(WRITTEN, "Source Token") == viewer.page.evaluate(WRITTEN, "Source Token")


def test_impossible_heads_in_the_address_are_told(viewer):
    viewer.open("attention", head="L99H99", listed="L9H9,L0H1")
    viewer.told("no head L99H99")
    viewer.told("no L9H9")


def test_a_link_restores_the_listed_heads(viewer):
    viewer.open("attention", listed="L0H1,L1H3")
    for name in ("L0H1", "L1H3"):
        expect(viewer.page.locator(".st-key-input_listed").get_by_text(name)).to_be_visible()
    expect(viewer.page.get_by_text("Edited list")).to_be_visible()


def unfold(viewer, *keys: str) -> None:
    """Open parts of the page of one head."""
    for key in keys:
        viewer.page.locator(f".st-key-fold_{key} summary").click()
        expect(viewer.page.locator(f".st-key-fold_{key} details[open]")).to_be_visible()
        viewer.settle()


def test_the_page_of_a_head_says_what_it_does_first_and_shows_every_part_where_it_is_opened(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open("head", head="L1H2")
    # All of its figure is above the line of state.
    viewer.page.wait_for_function(LIES_BETWEEN, arg=[".st-key-head_attention_by_token .js-plotly-plot", 0, 700])
    viewer.page.set_viewport_size({"width": 1280, "height": 900})
    expect(viewer.page.locator(".st-key-sentence")).to_contain_text("L1H2 looks")
    expect(viewer.page.locator(".st-key-sentence")).to_contain_text("its output moves")
    expect(viewer.page.locator(".st-key-head_attention_by_token")).to_be_visible()
    expect(viewer.page.locator("[data-testid=stDataFrame], iframe")).to_have_count(0)
    # From below: what opens moves nothing that is still to be clicked.
    unfold(viewer, "scores", "weights", "ov", "pattern", "written", "patches")
    expect(viewer.page.locator(".st-key-head_written_by_token")).to_be_visible()
    drawn(viewer, "head_pattern", 2)
    # Patches, the OV circuit of each model, weights, scores.
    expect(viewer.page.locator("[data-testid=stDataFrame]")).to_have_count(5)
    badges = viewer.page.locator(".st-key-head_badges")
    badges.get_by_text("All checks passed").click()
    expect(badges.get_by_text("A · OV").first).to_be_visible()
    badges = badges.get_by_test_id("stExpanderDetails")
    assert badges.get_by_text("check", exact=True).count() == 4
    assert badges.get_by_text("close", exact=True).count() == 0


def test_the_tokens_that_a_head_looks_at_most_can_be_asked_about(viewer):
    viewer.open("head", head="L2H6")
    sources = viewer.page.locator(".st-key-input_source")
    said = viewer.page.locator(".st-key-sentence")
    offered = re.compile(r"most in INSTRUCT: “(.+?)”")
    expect(sources).to_contain_text(offered)
    name = offered.search(sources.inner_text())[1]
    expect(said).to_contain_text(f"at “{name}” in INSTRUCT")
    sources.get_by_text("most in INSTRUCT").click()
    expect(viewer.page).to_have_url(re.compile("source=most_instruct"))
    expect(said).to_contain_text(f"attends from “The” to “{name}”")
    viewer.settle()
    # Of another head it is another token. Its list does not open out of sight.
    viewer.page.locator(".st-key-pick_head input").click()
    viewer.page.locator(".st-key-pick_head input").fill("L0H3")
    viewer.page.keyboard.press("Enter")
    expect(said).to_contain_text("L0H3 looks")
    viewer.settle()
    expect(viewer.page).to_have_url(re.compile("source=most_instruct"))


def test_another_head_is_picked_on_its_page_and_stays_in_the_address(viewer):
    viewer.open("head", head="L1H2")
    viewer.page.locator(".st-key-pick_head input").fill("L0H3")
    viewer.page.keyboard.press("Enter")
    expect(viewer.page.get_by_role("heading", name="What does L0H3 do?")).to_be_visible()
    viewer.settle()
    expect(viewer.page).to_have_url(re.compile("head=L0H3"))


@pytest.mark.parametrize("path, view, canvases", [("attention", "pattern", 2), ("head", "head_pattern", 2)])
def test_markup_in_tokens_is_shown_as_text_and_runs_nothing(viewer_of, hostile, path, view, canvases):
    viewer = viewer_of(hostile, viewport={"width": 1920, "height": 1400})
    viewer.run_first(RECORD_TEXT)
    viewer.open(path, head="L1H2", **PARAMETERS)
    if path == "head":
        unfold(viewer, "pattern")
    frames = [drawn(viewer, view, canvases)]
    if path == "attention":
        strip = viewer.page.locator(".st-key-strip_base")
        for token in (*TOKENS, "<s>"):
            expect(strip.get_by_text(token.replace(" ", "·"), exact=True).first).to_be_visible()
    written = "".join(text for frame in frames for text in frame.evaluate("written")).replace("\u2060", "")
    # A token's spaces are drawn as dots.
    for token in (*TOKENS, "<s>"):
        assert token.replace(" ", "·") in written
    for frame in (viewer.page.main_frame, *frames):
        assert frame.evaluate("typeof ran") == "undefined"
        assert frame.locator("img[src=x], s, b").count() == 0
