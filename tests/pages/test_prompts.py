"""The page Prompts, the app run without a browser: the set, its averages, and every row that is left out."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import service
from tests.pages.app import opened, settled


@pytest.fixture
def page(monkeypatch, forget, tmp_path):
    """parameters of the address → the page, settled."""
    monkeypatch.setenv("REPHRASE_CACHE", str(tmp_path))
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda **parameters: settled(opened("prompts/page.py", pair="tiny", **parameters))


def charts(test: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def said(test: AppTest) -> str:
    return " ".join(markdown.value for markdown in test.markdown).replace("\\", "")


def test_the_shipped_set_says_what_holds_and_a_click_opens_a_prompt(page):
    test = page(sample="12")
    assert "Over 12 prompts BASE prefers the original" in said(test) and "INSTRUCT prefers the replacement" in said(
        test
    )
    scatter = next(trace for trace in charts(test)[0]["data"] if trace.get("customdata"))
    assert len(scatter["x"]) == 12
    for part in ("patching", "attribution", "attention", "rows"):
        test.query_params["set_part"] = part
