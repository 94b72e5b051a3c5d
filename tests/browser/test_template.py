"""The settings' chat template, as a viewer meets it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.server import server
from tests.chat_templates import write_pair


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    listed = write_pair(tmp_path_factory.mktemp("chat"))
    with server(listed.parent / "log", REPHRASE_PAIRS=str(listed)) as running:
        yield running


def strip(viewer):
    return viewer.page.get_by_role("group", name="the prompt's tokens")


def choose(viewer, label: str) -> None:
    viewer.settings()
    # A rerun of the page closes an open list.
    viewer.settle()
    viewer.page.locator(".st-key-input_template").get_by_role("button").click()
    viewer.page.get_by_role("option", name=label).click()


def test_the_template_is_chosen_shown_token_by_token_and_shared_by_link(viewer_of, chat):
    viewer = viewer_of(chat).open(pair="chat")
    raw = viewer.figures
    choose(viewer, "INSTRUCT's own")
    expect(viewer.page).to_have_url(re.compile("template=chat"))
    viewer.settle()
    expect(viewer.status).to_contain_text("chat template")
    ends = strip(viewer).get_by_role("button").filter(has_text="<|end_of_text|>")
    expect(ends).to_have_count(1)
    figures = viewer.figures
    assert figures != raw
    other = viewer_of(chat)
    other.page.goto(viewer.page.url)
    other.settle()
    assert other.figures == figures
    # The same name in the sentence is text, cut into pieces.
    other.type("Sentence", "The quick <|end_of_text|> fox.")
    expect(ends).to_have_count(1)
    expect(strip(other).get_by_role("button").filter(has_text="<|end_of_text|>")).to_have_count(1)
    # A list opens in the page in front only.
    viewer.page.bring_to_front()
    choose(viewer, "none: raw text")
    expect(viewer.page).not_to_have_url(re.compile("template="))
    viewer.settle()
    assert viewer.figures == raw


def test_a_pair_without_a_template_shows_why_it_cannot_be_chosen(viewer):
    viewer.open()
    viewer.settings()
    expect(viewer.page.locator(".st-key-input_template input")).to_be_disabled()
    expect(viewer.page.get_by_text("This pair's INSTRUCT has no chat template.")).to_be_visible()
    viewer.open(template="chat")
    viewer.told("emplate missing")
