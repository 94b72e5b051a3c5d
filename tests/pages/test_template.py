"""The chat template and the first token on the pages, the app run without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import service
from tests.chat_templates import write_pair, write_silent_pair
from tests.pages.app import opened, settled
from tests.pages.numbers import gap_numbers


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {"chat": write_pair, "silent": write_silent_pair}
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in made.items()}


@pytest.fixture
def app(folders, monkeypatch, forget):
    """pair, parameters of the address → the app, once its figures are there or an error is."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)

    def make(pair: str, page: str = "", settings: bool = True, **parameters: str) -> AppTest:
        monkeypatch.setenv("REPHRASE_PAIRS", str(folders[pair]))
        forget()
        test = settled(opened(page, pair=pair, **parameters))
        test.session_state["settings"] = settings
        return settled(test.run())

    return make


def template(test: AppTest):
    return next(box for box in test.selectbox if box.label == "Chat template")


def text(test: AppTest) -> str:
    """Markdown as it reads."""
    return "\n".join(element.value for element in (*test.markdown, *test.caption)).replace("\\", "")


def test_the_template_is_chosen_in_the_settings_and_is_in_the_address(app):
    closed = app("chat", settings=False)
    assert gap_numbers(closed) and not closed.selectbox, "the settings are drawn while nobody looks at them"
    test = app("chat")
    raw = gap_numbers(test)
    assert template(test).value == "raw" and not template(test).disabled
    settled(template(test).set_value("chat").run())
    assert test.query_params["template"] == "chat" and "chat template · " in text(test)
    assert not test.error and gap_numbers(test) != raw
    again = app("chat", template="chat")
    assert template(again).value == "chat"
    assert gap_numbers(again) == gap_numbers(test)


def test_an_unknown_template_in_the_address_is_told_and_ignored(app):
    test = app("chat", template="<b>alpaca</b>")
    (complaint,) = test.warning
    assert "neither raw nor chat" in complaint.value and template(test).value == "raw" and not test.error


def test_a_pair_without_a_template_locks_the_choice_and_says_why(app):
    test = settled(app("silent"))
    assert template(test).disabled and "This pair's INSTRUCT has no chat template." in text(test)


def test_a_link_that_asks_for_a_missing_template_is_refused_at_the_choice_and_can_be_left(app):
    test = app("silent", template="chat")
    (error,) = test.error
    assert "emplate missing" in error.value and "raw" in error.value and not template(test).disabled
    settled(template(test).set_value("raw").run())
    assert not test.error and "template" not in test.query_params


def test_a_free_prompt_has_no_template_and_takes_over_what_the_template_wrote(app):
    test = app("chat", template="chat")
    figures = gap_numbers(test)
    settled(next(b for b in test.button if b.label == "Write a free prompt").click().run())
    assert test.text_area[0].value.startswith("<|begin_of_text|>Rephrase")
    # The settings have closed.
    test.session_state["settings"] = True
    settled(test.run())
    assert template(test).disabled and template(test).value == "raw" and "A free prompt is read" in text(test)
    assert gap_numbers(test) == figures
    locked = app("chat", prompt="The quick fox. The", original=" quick", template="chat")
    assert "free prompt" in locked.error[0].value and not template(locked).disabled


@pytest.mark.parametrize("page", ["attribution", "patching", "origin", "attention", "head"])
def test_every_page_shows_a_templated_prompt(app, page):
    test = app("chat", f"{page}/page.py", template="chat")
    assert not test.error and not test.exception and "chat template" in text(test)


def test_the_first_token_is_called_bos_where_it_is_one_and_by_its_name_elsewhere(app):
    assert "lies on BOS." in text(app("chat", "head/page.py"))
    assert "on BOS " in text(app("chat", "attention/page.py"))
    first = "the first token, “Rephrase”"
    for page in ("head/page.py", "attention/page.py"):
        found = text(app("silent", page))
        assert first in found and "BOS " not in found.replace("BOS or not", "")


def sources(test: AppTest) -> tuple[list[str], str]:
    group = next(group for group in test.get("button_group") if group.label == "Source token")
    return [option.replace("\\", "").split(":")[0] for option in group.options], str(group.value)


def test_the_head_page_offers_the_first_token_as_a_source(app):
    options, _ = sources(app("silent", "head/page.py", picked="5"))
    roles = ["original", "colon", "the picked token", "first", "END"]
    # Beside them stand the tokens that the head looks at most.
    assert [option for option in options if option in roles] == roles
    options, value = sources(app("chat", "head/page.py", source="bos"))
    assert "BOS" in options and value == "first"
    test = app("silent", "head/page.py", source="first")
    assert sources(test)[1] == "first" and "Source: token 1 of" in text(test)
