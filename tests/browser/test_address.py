"""The address: a copy of what the tab shows, which the viewer steps through, and which no slow link turns around."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

# A link on which every message takes its time, whichever way it goes; they keep their order.
SLOW = """
const Socket = window.WebSocket, later = deliver => setTimeout(deliver, 1500);
window.WebSocket = class extends Socket {
  addEventListener(type, listener, ...rest) {
    const delayed = type === 'message' ? event => later(() => listener(event)) : listener;
    super.addEventListener(type, delayed, ...rest);
  }
  send(data) { later(() => super.send(data)); }
};
"""


def box(viewer, label: str):
    return viewer.page.get_by_label(label, exact=True).first


def enter(viewer, label: str, text: str) -> None:
    """Type and press Enter, and wait for nothing."""
    box(viewer, label).fill(text)
    box(viewer, label).press("Enter")


@pytest.fixture
def slow(viewer):
    viewer.run_first(SLOW)
    return viewer.open()


def test_edits_sent_over_a_slow_link_are_all_taken(slow):
    enter(slow, "Sentence", "The quick horse runs.")
    # The server has answered, and the browser has not heard it.
    slow.page.wait_for_timeout(2200)
    enter(slow, "Instruction", "Repeat the following sentence")
    expect(slow.page).to_have_url(re.compile(r"instruction=Repeat.*&sentence=The\+quick\+horse"))
    slow.settle()
    expect(box(slow, "Sentence")).to_have_value("The quick horse runs.")
    expect(box(slow, "Instruction")).to_have_value("Repeat the following sentence")


def test_what_was_typed_into_a_field_that_the_answer_to_an_earlier_edit_replaces_is_taken(slow):
    enter(slow, "Sentence", "The tired horse sees the sad fox.")
    slow.page.wait_for_timeout(2200)
    # The edit before chooses “tired”, the word in the place of “quick”.
    enter(slow, "Original word", "sad")
    expect(slow.page).to_have_url(re.compile("original=sad"))
    slow.settle()
    expect(box(slow, "Original word")).to_have_value("sad")
    expect(slow.page.get_by_role("heading", name="sad")).to_be_visible()


def test_what_a_browser_still_shows_of_a_replaced_word_is_not_taken_for_an_edit(slow):
    enter(slow, "Sentence", "The tired horse sees the sad fox.")
    slow.page.wait_for_timeout(2200)
    # “quick” goes along with it: the browser does not know yet that another word has taken its place.
    enter(slow, "Instruction", "Repeat the following sentence")
    expect(slow.page).to_have_url(re.compile("instruction=Repeat.*original="))
    slow.settle()
    expect(slow.page.locator("[data-testid=stAlert]").filter(has_text="does not stand")).to_have_count(0)


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
