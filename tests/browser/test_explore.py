"""Explore and the frame around every page, as a viewer meets them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.server import server

HOSTILE = "The <img src=x onerror=alert(1)> quick </script> **fox** [x](http://evil.test/a) ![y](http://evil.test/b)"
# What is drawn for a selector lies between two heights of the window. Streamlit puts styles in when it comes to it.
LIES_BETWEEN = """([selector, top, bottom]) => {
  const box = document.querySelector(selector)?.getBoundingClientRect();
  return box?.height > 0 && box.top >= top && box.bottom <= bottom;
}"""


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_posts_prompt_shows_base_below_and_instruct_above_zero(viewer):
    viewer.open()
    base, instruct, gap = map(number, viewer.figures)
    assert base < 0 < instruct
    assert abs(gap - (instruct - base)) < 0.02
    expect(viewer.page.get_by_role("heading", name="swift")).to_be_visible()


def test_the_frame_and_the_prompt_stand_before_any_figure(viewer):
    viewer.page.goto(viewer.url)
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_be_visible()
    expect(viewer.page.get_by_text(re.compile("Rephrased sentence: The|goes on: The")).first).to_be_visible()


def test_a_copied_link_shows_another_viewer_the_same(viewer_of):
    first = viewer_of().open()
    first.type("Sentence", "The tired horse sleeps near the small river.")
    first.page.get_by_role("link", name="Attribution").click()
    expect(first.page).to_have_url(re.compile("attribution.*tired"))
    second = viewer_of()
    second.page.goto(first.page.url)
    second.settle()
    expect(second.page).to_have_url(first.page.url)
    box = second.page.get_by_label("Sentence", exact=True).first
    expect(box).to_have_value("The tired horse sleeps near the small river.")
    second.page.get_by_role("link", name="Explore").click()
    first.page.get_by_role("link", name="Explore").click()
    for viewer in (first, second):
        expect(viewer.page.get_by_role("heading", name="tired")).to_be_visible()
        viewer.settle()
    assert first.figures == second.figures


def test_each_occurrence_of_a_word_can_be_clicked(viewer):
    viewer.open(sentence="The big quick fox is a quick dog.")
    pills = viewer.page.locator(".st-key-pick_original").get_by_role("radio").filter(has_text="quick")
    pills.nth(0).click()
    expect(viewer.page).to_have_url(re.compile("occurrence=1"))
    viewer.settle()
    first = viewer.figures
    pills.nth(1).click()
    expect(viewer.page).to_have_url(re.compile("occurrence=2"))
    viewer.settle()
    assert viewer.figures != first


def test_an_edited_text_has_no_followed_token(viewer):
    viewer.open(picked="12")
    viewer.type("Sentence", "The quick dog.")
    expect(viewer.page).not_to_have_url(re.compile("picked="))
    assert len(viewer.figures) == 3


def test_an_edit_left_by_a_click_elsewhere_is_taken_as_it_was_typed(viewer):
    viewer.open()
    box = viewer.page.get_by_label("Sentence", exact=True).first
    box.fill("The sad fox jumps.")
    viewer.page.get_by_role("link", name="Attribution").click()
    expect(viewer.page).to_have_url(re.compile("The\\+sad\\+fox"))
    viewer.settle()
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_have_value("The sad fox jumps.")
    expect(viewer.page.locator("[class*=st-key-input_original] input")).to_have_value("sad")


def test_the_back_button_brings_the_previous_prompt_back(viewer):
    viewer.open()
    before = viewer.figures
    viewer.type("Sentence", "The quick horse jumps over the dog.")
    assert viewer.figures != before
    viewer.page.go_back()
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_have_value("The quick fox jumps over the dog.")
    viewer.settle()
    assert viewer.figures == before


def test_editing_while_the_models_run_shows_the_last_edit_only(viewer):
    viewer.open()
    box = viewer.page.get_by_label("Sentence", exact=True).first
    for words in ("quick horse", "sad bird", "old wolf", "tired bear"):
        box.fill(f"The {words} jumps over the dog.")
        box.press("Enter")
    expect(viewer.page).to_have_url(re.compile("The\\+tired\\+bear"))
    viewer.settle()
    expect(viewer.page.get_by_role("heading", name="tired")).to_be_visible()
    edited = viewer.figures
    viewer.open(sentence="The tired bear jumps over the dog.", original="tired")
    assert viewer.figures == edited


def test_the_word_clicked_in_the_sentence_becomes_the_original(viewer):
    viewer.open(sentence="The quick fox sees the tired dog.")
    viewer.page.locator(".st-key-pick_original").get_by_text("tired").first.click()
    expect(viewer.page.get_by_role("heading", name="tired")).to_be_visible()
    expect(viewer.page).to_have_url(re.compile("original=tired"))


def test_a_suggested_answer_is_taken_by_a_click(viewer):
    viewer.open()
    viewer.page.locator(".st-key-pick_answer").get_by_text("fast").first.click()
    expect(viewer.page.get_by_role("heading", name="fast")).to_be_visible()
    expect(viewer.page).to_have_url(re.compile("answer=fast"))


def test_bad_input_is_told_at_its_field_and_the_last_figures_stay(viewer):
    viewer.open()
    good = viewer.figures
    cases = [
        ("Sentence", "", "sentence is empty"),
        ("Sentence", "word " * 10_000, "at most"),
        ("Sentence", "The quick fox jumps over the dog.", None),
        ("Original word", "elsewhere", "does not stand in the sentence"),
        ("Original word", "quick", None),
        ("Answer: the replacement", "swift-footed", "tokens:"),
        ("Answer: the replacement", "Quick", "original word itself"),
        ("Answer: the replacement", "", None),
    ]
    for label, text, message in cases:
        viewer.type(label, text)
        if message is None:
            expect(viewer.page.locator("[data-testid=stAlert]")).to_have_count(0)
        else:
            viewer.told(message)
        assert viewer.figures == good, text[:40]


def test_a_sentence_without_the_old_word_gives_figures_about_its_own(viewer):
    viewer.open()
    viewer.type("Sentence", "The bird sings an old song.")
    expect(viewer.page).to_have_url(re.compile("original=old"))
    expect(viewer.page.get_by_role("heading", name="old")).to_be_visible()
    expect(viewer.page.locator("[data-testid=stAlert]")).to_have_count(0)
    # The word that stood in meanwhile is no step back.
    viewer.page.go_back()
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_have_value("The quick fox jumps over the dog.")


def test_a_prompt_of_hostile_text_is_shown_as_text_and_runs_nothing(viewer):
    dialogs, viewer.marked = [], True
    viewer.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    viewer.open(sentence=HOSTILE)
    assert viewer.status.inner_text().startswith("check_circle")
    assert not dialogs
    assert viewer.page.locator("img[src=x]").count() == 0
    assert viewer.page.locator("a[href*='//evil']").count() == 0
    strip = viewer.page.get_by_role("group", name="the prompt's tokens")
    assert "</script>" in strip.inner_text().replace("\n", "").replace("·", "").replace("original", "")


def test_emoji_and_right_to_left_text_are_analysed(viewer):
    viewer.open(sentence="שלום 😀 the quick fox")
    assert viewer.status.inner_text().startswith("check_circle")


def test_an_unknown_pair_or_parameter_in_the_address_is_named(viewer):
    viewer.open(pair="nix", sentense="3", colon="x")
    for part in ("'nix'", "tiny", "sentense=3", "colon=x"):
        viewer.told(part)


@pytest.fixture(scope="module")
def without_weights(tmp_path_factory):
    """A server whose second pair's weights are in a package that is not installed."""
    listed = tmp_path_factory.mktemp("absent") / "pairs.toml"
    models = "base = 'package:no_such_package/x.gguf'\ninstruct = './adapter'"
    listed.write_text(f"[[pair]]\nid = 'absent'\ntitle = 'Absent pair'\n{models}\n")
    with server(listed.parent / "log", REPHRASE_PAIRS=str(listed), REPHRASE_PAIR="tiny") as running:
        yield running


def test_a_pair_that_is_not_installed_is_listed_with_its_remedy(viewer_of, without_weights):
    viewer = viewer_of(without_weights).open()
    assert len(viewer.figures) == 3
    viewer.settings()
    viewer.page.get_by_label("Pair of models").click()
    viewer.page.get_by_text("Absent pair (not installed)").click()
    viewer.told("'no_such_package' is not installed")
    expect(viewer.page).to_have_url(re.compile("pair=absent"))
    viewer.open()
    assert len(viewer.figures) == 3


def test_a_link_spells_its_pair_and_a_bare_address_stays_bare(viewer):
    viewer.open()
    assert viewer.page.url == viewer.url
    viewer.type("Sentence", "The quick horse jumps over the dog.")
    expect(viewer.page).to_have_url(re.compile(r"\?pair=tiny&"))
    viewer.page.go_back()
    viewer.settle()
    expect(viewer.page).to_have_url(viewer.url)


def test_two_tabs_keep_their_own_prompts(viewer_of):
    first, second = viewer_of().open(), viewer_of().open()
    untouched = second.figures
    first.type("Sentence", "The quick horse jumps over the dog.")
    assert first.figures != untouched
    second.page.reload()
    second.settle()
    assert second.figures == untouched


def test_a_clicked_token_is_followed_and_the_second_colon_can_be_chosen(viewer):
    viewer.open()
    viewer.page.get_by_role("button", name="token 6:").click()
    expect(viewer.page).to_have_url(re.compile("picked=5"))
    viewer.settings()
    viewer.page.locator(".st-key-input_colon").get_by_text("second").first.click()
    expect(viewer.page).to_have_url(re.compile("colon=1"))


def test_a_free_prompt_takes_over_the_text_on_screen(viewer):
    viewer.open()
    before = viewer.figures
    viewer.settings()
    viewer.page.get_by_role("button", name="Write a free prompt").click()
    expect(viewer.page.get_by_label("Free prompt (exact text)")).to_have_value(
        "Rephrase all the adjectives of the following sentence: The quick fox jumps over the dog.\n\n"
        "Rephrased sentence: The"
    )
    viewer.settle()
    assert viewer.figures == before


def test_the_continuation_is_streamed_to_its_end(viewer):
    viewer.open()
    for model, word in (("BASE", "quick"), ("INSTRUCT", "swift")):
        text = viewer.page.locator(".st-key-goes_on p", has_text=f"{model} goes on: The {word} fox jumps over the dog.")
        expect(text).to_be_visible()
        # In bold what is compared: the next token alone.
        expect(text.locator("strong")).to_have_text(word)
    expect(viewer.page.locator(".st-key-goes_on button[kind=tertiary]")).to_have_count(0)


def test_explore_answers_first_then_measures_then_shows_what_it_read(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open()
    parts = [".st-key-finding", ".st-key-goes_on", ".st-key-summary", ".st-key-top_tokens", ".st-key-prompt_tokens"]
    # All at one time: a figure that is still being laid out moves the others.
    in_order = """parts => parts.map(part => document.querySelector(part)?.getBoundingClientRect().top ?? NaN)
        .every((top, n, tops) => n === 0 ? top >= 0 : top > tops[n - 1])"""
    viewer.page.wait_for_function(in_order, arg=parts)
    viewer.page.wait_for_function(LIES_BETWEEN, arg=[".st-key-summary .js-plotly-plot", 0, 720])
    for number_ in viewer.figures:
        expect(viewer.page.locator(".st-key-summary .js-plotly-plot")).to_contain_text(number_)


def test_the_line_of_state_stays_in_sight(viewer):
    viewer.page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open()
    for _ in range(2):
        viewer.page.wait_for_function(LIES_BETWEEN, arg=[".st-key-status", 600, 720])
        viewer.page.locator(".st-key-prompt_tokens").scroll_into_view_if_needed()


def test_the_line_of_state_has_the_colour_of_a_dark_page(viewer_of):
    viewer = viewer_of(color_scheme="dark").open()
    viewer.page.wait_for_function(
        """() => {
          const colour = selector => getComputedStyle(document.querySelector(selector)).backgroundColor;
          return colour('.st-key-status') === colour('.stApp') && colour('.stApp') !== 'rgb(255, 255, 255)';
        }"""
    )


def test_an_input_hidden_in_a_closed_section_still_shows_its_error(viewer):
    viewer.open(dtype="float8", picked="400")
    viewer.told("float8")
    viewer.open(picked="400")
    viewer.told("position 400")


def test_a_folder_that_is_not_there_is_told_at_the_pair(viewer):
    viewer.open(pair="", base="/nowhere", instruct="/nowhere")
    viewer.told("no folder '/nowhere'")
