"""The prompt bar as a viewer meets it: on every page, in one glance, by keyboard, on a telephone, and never jumping."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

HIGH = 170  # pixels of a screen of 720 that the bar may take
# The tops of what stands below the bar, whenever one of them changes.
WATCH = """
window.tops = [];
const look = () => {
  const page = document.querySelector('.st-key-page');
  const top = page && Math.round(page.getBoundingClientRect().top + document.querySelector('.stMain').scrollTop);
  if (page && window.tops.at(-1) !== top) window.tops.push(top);
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def bar(viewer):
    return viewer.page.locator(".st-key-prompt_bar")


def box(viewer, label: str):
    return viewer.page.get_by_label(label, exact=True).first


def placed(viewer) -> None:
    """Wait for the bar in its place: the page's own styles come a moment after its first paint."""
    viewer.page.wait_for_function(
        """most => {
          const { top, height } = document.querySelector('.st-key-prompt_bar').getBoundingClientRect();
          return height <= most && top < 60;
        }""",
        arg=HIGH,
    )


@pytest.mark.parametrize("path", ["", "attribution", "head"])
def test_the_bar_is_on_every_page_and_leaves_the_screen_to_the_figures(viewer, path):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open(path)
    placed(viewer)
    for label in ("Instruction", "Sentence", "Original word", "Answer: the replacement"):
        expect(box(viewer, label)).to_be_visible()


def test_nothing_below_the_bar_moves_while_a_sentence_is_edited(viewer):
    viewer.open()
    placed(viewer)
    viewer.page.evaluate(WATCH)
    for sentence in ("The happy girl sees the old dog.", "The quick fox jumps over the dog."):
        viewer.type("Sentence", sentence)
    assert len(viewer.page.evaluate("window.tops")) == 1


def test_on_a_low_screen_a_long_sentence_is_one_row_with_its_original_in_sight(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    sentence = "The girl sees the dog in the house near the river and the tired bear sleeps."
    viewer.open(sentence=sentence, original="tired")
    placed(viewer)
    row = viewer.page.locator(".st-key-pick_original")
    around, chosen = row.bounding_box(), row.get_by_role("radio", checked=True).bounding_box()
    assert around["height"] < 2 * chosen["height"]
    assert around["x"] <= chosen["x"] and chosen["x"] + chosen["width"] <= around["x"] + around["width"] + 1
    # What has room from its beginning begins there.
    viewer.open(sentence=sentence, original="girl")
    placed(viewer)
    assert row.evaluate("row => [row, ...row.querySelectorAll('*')].every(part => part.scrollLeft === 0)")


def test_an_example_is_taken_with_a_word_of_its_own_undone_and_the_posts_prompt_is_one_click_away(viewer):
    viewer.open()
    expect(viewer.page.get_by_role("button", name="Undo", exact=True)).to_be_disabled()
    viewer.page.locator(".st-key-pick_task").get_by_text("Verbs").click()
    expect(viewer.page).to_have_url(re.compile("instruction=.*verbs.*original=jumps"))
    viewer.settle()
    viewer.page.get_by_role("button", name="Another sentence").click()
    expect(box(viewer, "Sentence")).not_to_have_value("The quick fox jumps over the dog.")
    viewer.settle()
    viewer.page.get_by_role("button", name="Undo", exact=True).click()
    expect(box(viewer, "Sentence")).to_have_value("The quick fox jumps over the dog.")
    expect(box(viewer, "Original word")).to_have_value("jumps")
    viewer.page.get_by_role("button", name="Reset", exact=True).click()
    expect(box(viewer, "Original word")).to_have_value("quick")
    viewer.settle()
    expect(viewer.page).to_have_url(viewer.url)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_link_is_copied_or_where_that_is_refused_shown(viewer_of, allowed):
    viewer = viewer_of(**({"permissions": ["clipboard-read", "clipboard-write"]} if allowed else {}))
    if not allowed:
        viewer.run_first("navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'));")
    viewer.open(sentence="The tired bear sleeps.", original="tired")
    # Of the page on screen, although nothing else has changed since the first one.
    viewer.page.locator(".st-key-pages").get_by_role("link", name="Attention").click()
    expect(viewer.page).to_have_url(re.compile("/attention"))
    viewer.settle()
    viewer.page.get_by_role("button", name="Copy link").click()
    if allowed:
        expect(viewer.page.get_by_role("button", name="Copied")).to_be_visible()
        link = viewer.page.evaluate("navigator.clipboard.readText()")
    else:
        shown = viewer.page.get_by_label("link to this view")
        expect(shown).to_be_focused()
        link = shown.input_value()
    asked = parse_qs(urlparse(link).query)
    assert link.startswith(f"{viewer.url}attention?") and asked["original"] == ["tired"] and asked["pair"] == ["tiny"]


def test_what_is_refused_is_marked_and_told_in_the_bar_and_only_suggestions_of_its_prompt_can_be_chosen(viewer):
    suggested = viewer.page.locator("[class*=st-key-pick_answer]")
    viewer.open()
    viewer.type("Answer: the replacement", "swift-footed")
    expect(bar(viewer).locator("[data-testid=stAlert]")).to_contain_text("tokens:")
    frame = viewer.page.locator("[class*=st-key-input_answer] [data-testid=stTextInputRootElement]")
    expect(frame).to_have_css("border-top-color", "rgb(217, 54, 74)")
    # Those of the last figures are of this prompt still: one click mends the answer.
    suggested.get_by_role("radio").nth(1).click()
    expect(bar(viewer).locator("[data-testid=stAlert]")).to_have_count(0)
    viewer.settle()
    taken = suggested.get_by_role("radio", checked=True).inner_text()
    assert len(viewer.figures) == 3 and parse_qs(urlparse(viewer.page.url).query)["answer"] == [taken]
    viewer.type("Original word", "nowhere")
    viewer.told("nowhere")
    expect(suggested.get_by_role("radio").first).to_be_disabled()


def test_a_toy_says_what_it_has_never_read_and_the_figures_are_there(viewer):
    viewer.open()
    viewer.type("Sentence", "The quick xylophonist jumps over the dog.")
    expect(bar(viewer)).to_contain_text("has never read “xylophonist”")
    assert len(viewer.figures) == 3


def test_the_menu_says_where_each_pair_stands(viewer):
    viewer.open()
    viewer.settings()
    viewer.page.get_by_label("Pair of models").click()
    expect(viewer.page.get_by_role("option", name="Embedded tiny pair (a toy, is here)")).to_be_visible()
    expect(viewer.page.get_by_role("option", name=re.compile(r"Qwen2.5 0.5B \(.*2.0 GB.*\)"))).to_be_visible()


def test_the_bar_is_used_by_keyboard_alone(viewer):
    viewer.open()
    box(viewer, "Instruction").focus()
    viewer.page.keyboard.press("Tab")
    expect(box(viewer, "Sentence")).to_be_focused()
    viewer.page.keyboard.press("ControlOrMeta+A")
    viewer.page.keyboard.type("The tired bear sleeps.")
    viewer.page.keyboard.press("Enter")
    expect(viewer.page).to_have_url(re.compile("original=tired"))
    expect(box(viewer, "Sentence")).to_be_focused()
    # Of a page's link, too, it is seen where the focus is.
    page_link = viewer.page.locator(".st-key-pages a").first
    page_link.focus()
    expect(page_link).to_have_css("outline-style", "solid")


def test_on_a_telephone_nothing_of_the_bar_is_cut_off(viewer_of):
    viewer = viewer_of(viewport={"width": 390, "height": 844}).open()
    assert viewer.page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    for name in ("Copy link", "Reset", "Another sentence"):
        found = viewer.page.get_by_role("button", name=name, exact=True).bounding_box()
        assert found["x"] >= 0 and found["x"] + found["width"] <= 390


def test_a_free_prompt_and_back_loses_no_text(viewer):
    viewer.open(sentence="The sad fox sees the tired dog.", original="tired", answer="sleepy")
    viewer.settings()
    viewer.page.get_by_role("button", name="Write a free prompt").click()
    # The menu is out of the way, and one goes on typing.
    expect(viewer.page.get_by_label("Free prompt (exact text)")).to_be_focused()
    expect(viewer.page.locator(".st-key-input_dtype")).to_be_hidden()
    viewer.settle()
    written = "The fox is quick. The dog is"
    viewer.page.get_by_label("Free prompt (exact text)").fill(written)
    viewer.page.get_by_label("Free prompt (exact text)").press("ControlOrMeta+Enter")
    viewer.type("Original (exact string, with its space)", " quick")
    viewer.settings()
    viewer.page.get_by_role("button", name="Back to instruction and sentence").click()
    expect(box(viewer, "Sentence")).to_have_value("The sad fox sees the tired dog.")
    expect(box(viewer, "Original word")).to_have_value("tired")
    expect(box(viewer, "Answer: the replacement")).to_have_value("sleepy")
    viewer.settle()
    viewer.settings()
    viewer.page.get_by_role("button", name="Write a free prompt").click()
    expect(viewer.page.get_by_label("Free prompt (exact text)")).to_have_value(written)
    expect(viewer.page.get_by_label("Original (exact string, with its space)")).to_have_value(" quick")
