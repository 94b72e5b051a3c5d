"""A public demo's limits as its visitors see them; the app run without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import visitors
from tests.pages.app import opened, settled


@pytest.fixture
def demo(monkeypatch, forget):
    """settings → an app of a public demo; nobody is there."""

    def start(page: str = "", **settings: str) -> AppTest:
        for name, value in {"PAIR": "tiny", "HOSTED": "1", **settings}.items():
            monkeypatch.setenv(f"REPHRASE_{name}", value)
        forget()
        return opened(page, pair="tiny")

    visitors._here.clear()
    yield start
    visitors._here.clear()


def test_who_finds_no_room_is_told_so_and_gets_in_when_somebody_has_left(demo):
    test = demo(MAX_SESSIONS="1")
    visitors._here["somebody"] = "elsewhere"
    test.run()
    assert [title.value for title in test.title] == ["Too many visitors"]
    assert "1 open tab," in test.warning[0].value and not test.text_input
    visitors._here.clear()
    test = settled(test)
    assert test.text_input and test.title[0].value != "Too many visitors" and "test session id" in visitors._here


def test_what_a_limit_refuses_is_told_where_its_figure_would_stand_and_the_rest_is_there(demo):
    assert not settled(demo("patching/page.py", MAX_SWEEPS="1")).warning
    test = settled(opened("patching/page.py", pair="tiny", site="v"))
    refused = [warning.value for warning in test.warning]
    assert len(refused) == 1 and "come back in 60 minutes" in refused[0]
    assert any("logit difference" in text.value for text in test.markdown)
