"""The stage as a speaker meets it: by keyboard, on a screen of 1280 × 720, without a scroll bar."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_address import HEAR, LATE

SCREEN = {"width": 1280, "height": 720}
PAGES = ("Explore", "Attribution", "Patching", "Origin", "Attention", "Head")
# Nothing is cut off, nothing overlaps, nothing is to be scrolled for.
FITS = """() => {
  const main = document.querySelector('.stMain'), chart = document.querySelector('.js-plotly-plot');
  if (!chart || main.scrollHeight > main.clientHeight || main.scrollWidth > main.clientWidth) return false;
  const parts = ['.st-key-stage_pages', '.st-key-prompt_bar', '.st-key-finding', '.js-plotly-plot'];
  const boxes = parts.map(part => document.querySelector(part).getBoundingClientRect());
  return boxes.every((box, n) => box.bottom <= (n + 1 < boxes.length ? boxes[n + 1].top : innerHeight) + 1);
}"""
# Undefined while a figure is drawn anew.
RANGE = "() => document.querySelector('.js-plotly-plot')?._fullLayout?.xaxis?.range.map(end => Math.round(1e6 * end))"
OTHER = f"before => {{ const now = ({RANGE})(); return now && JSON.stringify(now) !== JSON.stringify(before); }}"


@pytest.fixture
def speaker(viewer_of):
    return viewer_of(viewport=SCREEN)


def sentence(viewer):
    return viewer.page.get_by_label("Sentence", exact=True).first


def press(viewer, key: str) -> None:
    """On the page, in no field; once the page answers to it: its keys come a moment after the run that offers them."""
    named = re.sub("^page", "page ", key.rpartition("+")[2].lower())
    listed = viewer.page.locator(".st-key-behind dialog kbd")
    expect(listed.filter(has_text=re.compile(f"^{re.escape(named)}$", re.IGNORECASE))).to_have_count(1)
    viewer.page.evaluate("document.activeElement.blur()")
    viewer.page.keyboard.press(key)


def test_a_key_turns_every_page_into_one_screen_and_back(speaker):
    speaker.open()
    press(speaker, "p")
    expect(speaker.page).to_have_url(re.compile("stage=1"))
    expect(speaker.page.get_by_test_id("stSidebar")).to_be_hidden()
    for name in PAGES:
        speaker.page.locator(".st-key-stage_pages").get_by_role("link", name=name).click()
        expect(speaker.page).to_have_url(re.compile(f"{'' if name == 'Explore' else name.lower()}[?].*stage=1"))
        speaker.settle()
        speaker.page.wait_for_function(FITS)
        expect(speaker.page.locator(".js-plotly-plot")).to_have_count(1)
    press(speaker, "p")
    expect(speaker.page).not_to_have_url(re.compile("stage=1"))
    expect(speaker.page.get_by_test_id("stSidebar")).to_be_visible()


def test_a_talk_by_keyboard(speaker):
    """Presets, axes and what is typed; an invalid edit moves nothing."""
    speaker.open(stage="1")
    speaker.page.wait_for_function(FITS)
    first = speaker.page.wait_for_function(RANGE).json_value()
    press(speaker, "9")
    expect(speaker.page).to_have_url(re.compile("instruction=Remove"))
    speaker.settle()
    press(speaker, "2")
    expect(sentence(speaker)).to_have_value("The big dog sleeps in the old house.")
    speaker.settle()
    low, high = speaker.page.wait_for_function(RANGE).json_value()
    assert low <= first[0] and high >= first[1]
    press(speaker, "r")
    speaker.page.wait_for_function(OTHER, arg=[low, high])
    # By key, for its button is not there.
    listed = speaker.page.get_by_role("dialog", name="History")
    press(speaker, "h")
    expect(listed).to_be_visible()
    # What is pressed right behind the Esc that closes it may still be told there.
    listed.evaluate(
        """dialog => {
          dialog.close();
          const key = new KeyboardEvent('keydown', { key: '9', bubbles: true, composed: true });
          dialog.querySelector('button').dispatchEvent(key);
        }"""
    )
    expect(speaker.page).to_have_url(re.compile("instruction=Remove"))
    speaker.settle()
    press(speaker, "2")
    expect(speaker.page).not_to_have_url(re.compile("instruction=Remove"))
    speaker.settle()
    press(speaker, "h")
    expect(listed).to_be_visible()
    press(speaker, "h")
    expect(listed).to_be_hidden()
    # What is typed is text, whatever keys it takes.
    sentence(speaker).fill("")
    sentence(speaker).press_sequentially("p1r?u")
    expect(sentence(speaker)).to_have_value("p1r?u")
    sentence(speaker).fill("The big dog sleeps.")
    sentence(speaker).press("Enter")
    expect(speaker.page).to_have_url(re.compile(r"sentence=The\+big\+dog\+sleeps\..*stage=1"))
    speaker.settle()
    expect(speaker.page.get_by_role("dialog")).to_have_count(0)
    press(speaker, "Control+1")
    press(speaker, "u")
    expect(sentence(speaker)).to_have_value("The big dog sleeps in the old house.")
    speaker.settle()
    speaker.type("Answer: the replacement", "swift-footed")
    speaker.told("tokens:")
    speaker.page.wait_for_function(FITS)
    # No words lie over the figure of before.
    speaker.page.wait_for_function("() => document.querySelector('.st-key-status').getBoundingClientRect().width < 60")


def test_on_a_larger_screen_the_whole_stage_is_larger_and_on_a_smaller_one_smaller_again(viewer_of):
    speaker = viewer_of(viewport={"width": 1920, "height": 1080})
    page = speaker.open("patching", stage="1").page
    # The first: while it is measured anew, a second one stands beside it.
    title = page.locator(".js-plotly-plot .gtitle").first
    expect(title).to_have_css("font-size", "36px")
    page.wait_for_function(FITS)
    # It uses the room that there is.
    assert page.locator(".js-plotly-plot").bounding_box()["height"] == 600
    speaker.settle()
    press(speaker, "?")
    listed = page.get_by_role("dialog", name="Keyboard shortcuts")
    high = listed.bounding_box()["height"]
    press(speaker, "?")
    page.set_viewport_size(SCREEN)
    expect(title).to_have_css("font-size", "24px")
    page.wait_for_function(FITS)
    speaker.settle()
    press(speaker, "?")
    assert high > 1.2 * listed.bounding_box()["height"]


def test_cautions_are_one_line_below_the_figure(speaker):
    remove = "Remove all the adjectives of the following sentence"
    told = speaker.page.locator(".st-key-cautions")
    speaker.open(
        stage="1",
        pair="tiny",
        instruction=remove,
        sentence="The old man closed the door.",
        original="old",
        answer="man",
    )
    expect(told.locator("p")).to_have_count(2)
    speaker.page.wait_for_function(FITS)
    title, box = (part.bounding_box() for part in (speaker.page.locator(".js-plotly-plot .xtitle"), told))
    assert box["y"] >= title["y"] + title["height"] - 1
    assert box["x"] + box["width"] <= speaker.status.bounding_box()["x"]


def test_the_keys_of_a_clicker_turn_the_pages_of_the_stage_and_esc_leaves_a_field(speaker):
    page = speaker.page
    speaker.open("attribution", stage="1")
    press(speaker, "PageDown")
    expect(page).to_have_url(re.compile("patching[?].*stage=1"))
    speaker.settle()
    # In a field too, where the keys do nothing else; what is edited is of every page.
    speaker.type("Sentence", "The big dog sleeps.")
    expect(sentence(speaker)).to_be_focused()
    page.keyboard.press("PageUp")
    expect(page).to_have_url(re.compile("attribution[?].*sentence=The.big.*stage=1"))
    speaker.settle()
    sentence(speaker).focus()
    page.keyboard.press("Escape")
    expect(sentence(speaker)).not_to_be_focused()
    page.keyboard.press("PageUp")
    expect(page).to_have_url(re.compile(r"localhost:\d+/[?].*stage=1"))
    speaker.settle()
    # Before the first page there is none.
    page.keyboard.press("PageUp")
    page.keyboard.press("u")
    expect(sentence(speaker)).to_have_value("The quick fox jumps over the dog.")
    expect(page).to_have_url(re.compile(r"localhost:\d+/[?].*stage=1"))
    speaker.settle()
    page.go_back()
    expect(page).to_have_url(re.compile("sentence=The.big"))


def test_keys_that_follow_each_other_faster_than_pages_are_drawn_are_each_answered_once_and_in_order(speaker):
    speaker.open(pair="tiny")
    press(speaker, "p")
    # Pages turn by key on the stage only, which is not there yet.
    for key in ("PageDown", "PageDown", "2", "c", "3"):
        speaker.page.keyboard.press(key)
    expect(speaker.page).to_have_url(re.compile("/patching[?].*original=big&compare=1&b_original=old.*stage=1"))
    speaker.settle()


def press_early(speaker, *keys: str) -> None:
    """Open a page and press keys while its script has not come."""
    page, held = speaker.page, []
    page.route("**/BidiComponent.*.js", lambda route: held.append(route))
    page.goto(f"{speaker.url}?pair=tiny", wait_until="commit")
    expect(page.locator(".st-key-prompt_bar")).to_be_visible()
    for key in keys:
        page.keyboard.press(key)
    assert held
    for route in held:
        route.continue_()
    page.unroute_all()


def test_keys_pressed_before_a_pages_script_is_there_are_answered_once_it_is(speaker):
    page, history = speaker.page, speaker.page.get_by_role("dialog", name="History")
    press_early(speaker, "h")
    expect(history).to_be_visible()
    page.keyboard.press("h")
    expect(history).to_be_hidden()
    speaker.settle()
    press_early(speaker, "p", "9", "c", "3")
    expect(page).to_have_url(re.compile("instruction=Remove.*compare=1.*b_original=old.*stage=1"))
    speaker.settle()


def test_the_history_opens_as_it_comes_where_it_was_asked_for_before(viewer):
    viewer.run_first("window.rephraseUnheard = new Set(['rephrase-history'])")
    viewer.open(pair="tiny")
    expect(viewer.page.get_by_role("dialog", name="History")).to_be_visible()


def test_keys_pressed_behind_a_click_on_another_page_are_answered_by_that_page(speaker):
    speaker.run_first(LATE)
    speaker.open(pair="tiny", stage="1")
    # The page that comes is not heard of yet.
    page, _ = speaker.page, speaker.page.evaluate("window.held = []")
    page.locator(".st-key-stage_pages").get_by_role("link", name="Attention").click()
    for key in ("c", "2", "c"):
        page.keyboard.press(key)
    page.evaluate(HEAR)
    expect(page).to_have_url(re.compile("/attention[?](?!.*compare).*original=big.*stage=1"))
    speaker.settle()


def test_a_question_mark_lists_the_keys_and_closes_the_list(viewer):
    viewer.open()
    listed = viewer.page.get_by_role("dialog", name="Keyboard shortcuts")
    press(viewer, "?")
    expect(listed).to_contain_text("The opposite")
    # Behind the list no key does anything.
    viewer.page.keyboard.press("p")
    viewer.page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    press(viewer, "?")
    expect(listed).to_be_visible()
    viewer.page.keyboard.press("?")
    expect(listed).to_be_hidden()
    expect(viewer.page).to_have_url(viewer.url)
    viewer.page.get_by_role("button", name="Presets").click()
    viewer.page.get_by_role("menuitem", name="The opposite").click()
    expect(viewer.page).to_have_url(re.compile("instruction=Reverse"))
    viewer.settle()
