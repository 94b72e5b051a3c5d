"""The address: a copy of what the tab shows, which the viewer steps through, and which no slow link turns around."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

# A link on which, while `window.held` is a list, the browser hears nothing of what the server says. What it says itself
# is in `window.sent`.
LATE = """
const Socket = window.WebSocket;
window.sent = [];
window.WebSocket = class extends Socket {
  addEventListener(type, listener, ...rest) {
    const late = event => window.held ? window.held.push(() => listener(event)) : listener(event);
    super.addEventListener(type, type === 'message' ? late : listener, ...rest);
  }
  send(data) {
    window.sent.push(new TextDecoder().decode(data));
    super.send(data);
  }
};
"""
HEAR = "() => { const held = window.held; window.held = null; held.forEach(tell => tell()); }"


def box(viewer, label: str):
    return viewer.page.get_by_label(label, exact=True).first


def enter(viewer, label: str, text: str) -> None:
    """Type and press Enter, and wait for nothing."""
    box(viewer, label).fill(text)
    box(viewer, label).press("Enter")


@pytest.fixture
def late(viewer):
    viewer.run_first(LATE)
    return viewer.open()


def enter_both(late, first: tuple[str, str], second: tuple[str, str]) -> None:
    """Two edits, label and text: the second once the server has answered the first, which the browser hears later."""
    ended = late.page.evaluate("window.held = [], window.ended")
    enter(late, *first)
    late.page.wait_for_function("before => window.ended > before", arg=ended)
    enter(late, *second)
    # A message has a text behind its length.
    said = chr(len(second[1])) + second[1]
    late.page.wait_for_function("said => window.sent.some(sent => sent.includes(said))", arg=said)
    late.page.evaluate(HEAR)


def test_edits_sent_over_a_slow_link_are_all_taken(late):
    enter_both(late, ("Sentence", "The quick horse runs."), ("Instruction", "Repeat the following sentence"))
    expect(late.page).to_have_url(re.compile(r"instruction=Repeat.*&sentence=The\+quick\+horse"))
    late.settle()
    expect(box(late, "Sentence")).to_have_value("The quick horse runs.")
    expect(box(late, "Instruction")).to_have_value("Repeat the following sentence")


def test_what_was_typed_into_a_field_that_the_answer_to_an_earlier_edit_replaces_is_taken(late):
    # The first edit chooses “tired”, the word in the place of “quick”.
    enter_both(late, ("Sentence", "The tired horse sees the sad fox."), ("Original word", "sad"))
    expect(late.page).to_have_url(re.compile("original=sad"))
    late.settle()
    expect(box(late, "Original word")).to_have_value("sad")
    expect(late.page.get_by_role("heading", name="sad")).to_be_visible()


def test_what_a_browser_still_shows_of_a_replaced_word_is_not_taken_for_an_edit(late):
    # “quick” goes along with the second: the browser does not know yet that another word has taken its place.
    edit = ("Sentence", "The tired horse sees the sad fox.")
    enter_both(late, edit, ("Instruction", "Repeat the following sentence"))
    expect(late.page).to_have_url(re.compile("instruction=Repeat.*original="))
    late.settle()
    expect(late.page.locator("[data-testid=stAlert]").filter(has_text="does not stand")).to_have_count(0)


def test_what_is_being_typed_is_overwritten_by_no_run_of_the_page(viewer):
    viewer.open()
    viewer.type("Sentence", "The tired horse sleeps.")
    original = box(viewer, "Original word")
    expect(original).to_have_value("tired")
    original.fill("horse")
    # A run that nothing typed has asked for: a click that leaves the focus where it is.
    viewer.page.locator("[class*=st-key-pick_answer] button").nth(1).evaluate("button => button.click()")
    expect(viewer.page).to_have_url(re.compile("answer="))
    viewer.settle()
    expect(original).to_have_value("horse")
    original.press("Enter")
    expect(viewer.page).to_have_url(re.compile("original=horse"))


def test_back_and_forward_step_through_experiments_and_pages(viewer):
    viewer.open()
    steps = [("", "The quick fox jumps over the dog.")]
    for noun in ("horse", "bear"):
        steps.append(("", f"The quick {noun} runs."))
        viewer.type("Sentence", steps[-1][1])
        expect(viewer.page).to_have_url(re.compile(noun))
    viewer.page.get_by_role("link", name="Attribution").click()
    expect(viewer.page).to_have_url(re.compile("attribution.*bear"))
    viewer.settle()
    steps.append(("attribution", steps[-1][1]))
    viewer.type("Sentence", "The quick wolf runs.")
    expect(viewer.page).to_have_url(re.compile("attribution.*wolf"))
    steps.append(("attribution", "The quick wolf runs."))

    def stands(path: str, sentence: str) -> None:
        expect(box(viewer, "Sentence")).to_have_value(sentence)
        expect(viewer.page.get_by_role("heading", name="Where is the")).to_have_count(1 if path else 0)
        assert viewer.page.url.startswith(f"{viewer.url}{path}")
        viewer.settle()

    for step in reversed(steps[:-1]):
        viewer.page.go_back()
        stands(*step)
    for step in steps[1:]:
        viewer.page.go_forward()
        stands(*step)


def test_going_back_at_once_after_an_edit_goes_back(viewer):
    viewer.open()
    viewer.type("Sentence", "The quick horse runs.")
    expect(viewer.page).to_have_url(re.compile("horse"))
    viewer.page.go_back()
    viewer.settle()
    expect(viewer.page).to_have_url(viewer.url)
    expect(box(viewer, "Sentence")).to_have_value("The quick fox jumps over the dog.")


def test_a_tap_on_a_page_out_of_an_edited_field_leads_there_with_the_edit(viewer):
    viewer.open()
    box(viewer, "Sentence").fill("The lazy dog sleeps.")
    # Pressed and let go at once, as a touch screen tells it.
    viewer.page.get_by_role("link", name="Attribution").first.click()
    expect(viewer.page).to_have_url(re.compile(r"/attribution\?.*lazy"))
    viewer.settle()
    expect(box(viewer, "Sentence")).to_have_value("The lazy dog sleeps.")
    expect(viewer.page).to_have_url(re.compile(r"/attribution\?.*lazy"))


def test_what_cannot_be_read_in_an_address_is_told_until_the_first_edit(viewer):
    viewer.open(sentense="3")
    viewer.told("sentense=3")
    viewer.type("Sentence", "The quick horse runs.")
    expect(viewer.page.locator("[data-testid=stAlert]")).to_have_count(0)
    viewer.type("Sentence", "The quick bear runs.")
    expect(viewer.page.locator("[data-testid=stAlert]")).to_have_count(0)


def test_a_page_opened_from_the_list_in_another_tab_shows_the_same_prompt(viewer):
    viewer.open(sentence="The tired bear sleeps.", original="tired")
    link = viewer.page.get_by_role("link", name="Attribution").get_attribute("href")
    viewer.page.goto(viewer.url + link.lstrip("/"))
    viewer.settle()
    expect(box(viewer, "Sentence")).to_have_value("The tired bear sleeps.")
