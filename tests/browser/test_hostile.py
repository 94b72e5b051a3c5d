"""Script in whatever a stranger can write, a pair's title included, is text, wherever it comes to stand."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from core.experiment import Experiment
from pages.shared.state import NAMES
from tests.browser.hostile_pair import IMAGE, PARAMETERS, TITLE, write_pair
from tests.browser.server import server

SCRIPT = f"The quick {IMAGE}</script><script>parent.ran=1</script><svg onload=parent.ran=1>"
SCRIPT += "[a](javascript:parent.ran=1) ![b](http://evil.test/b) :red[x] $\\href{javascript:parent.ran=1}{x}$"
# What came in through the text: an element or a link that only markup can have made.
MADE = "img[src=x], img[src*='//evil'], svg[onload], a[href^=javascript], a[href*='//evil'], .katex"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    listed = write_pair(tmp_path_factory.mktemp("hostile"))
    with server(listed.parent / "log", REPHRASE_PAIRS=str(listed)) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


def test_script_in_titles_fields_parameters_and_tokens_is_text(viewer_of, hostile):
    viewer = viewer_of(hostile)
    page = viewer.page
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    def only_text(path: str = "", parameters: dict[str, str] | None = None) -> None:
        if parameters:
            page.goto(f"{viewer.url}{path}?{urlencode(parameters)}")
        viewer.settle()
        assert page.locator(MADE).count() == 0 and not dialogs
        assert page.evaluate("typeof window.ran") == "undefined"

    # Every parameter that an address can have, at once and, where others are not read beside it, alone.
    only_text("patching", dict.fromkeys(NAMES, SCRIPT))
    for name in ("instruction", "sentence", "pair"):
        only_text("", {name: SCRIPT})
    # Tokens, and the pair's title; in tests.browser.test_attention they stand in the frames of patterns, too.
    for path in ("models", "patching"):
        only_text(path, {"part": "set", **PARAMETERS})
    viewer.settings()
    page.get_by_label("Pair of models").click()
    expect(page.get_by_text(TITLE).first).to_be_visible()
    only_text()
    page.keyboard.press("Escape")
    # Every field that can be typed into.
    only_text("patching", {"part": "set"})
    viewer.settings()
    typed = set()
    for _ in range(20):
        boxes = page.locator("[data-testid=stTextInput] input:visible, [data-testid=stTextArea] textarea:visible")
        left = [box for box in boxes.all() if box.get_attribute("aria-label") not in typed]
        if not left:
            break
        typed.add(left[0].get_attribute("aria-label"))
        left[0].fill(SCRIPT)
        left[0].press("ControlOrMeta+Enter")
        left[0].blur()
        only_text()
    assert {"Instruction", "Sentence", "Original word", "Answer: the replacement"} <= typed, typed
    assert {field.name for field in dataclasses.fields(Experiment)} <= set(NAMES)
