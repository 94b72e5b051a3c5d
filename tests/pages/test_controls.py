"""Direct, indirect and controls on the pages, the app run without a browser: asked where they are opened, and told."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import service
from tests.pages.app import opened, settled


@pytest.fixture
def page(monkeypatch, forget):
    """page, parameters of the address → the page, settled."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda name, **parameters: settled(opened(f"{name}/page.py", pair="tiny", **parameters))


def asked(test: AppTest) -> set[str]:
    return {asked.question for asked in test.session_state.held}


def said(test: AppTest) -> str:
    return " ".join(each.value for kind in ("markdown", "warning") for each in test.get(kind)).replace("\\", "")


def chart(test: AppTest, key: str) -> dict:
    return next(json.loads(c.proto.spec) for c in test.get("plotly_chart") if f"-{key}" in c.proto.id)


def test_no_page_asks_for_controls_before_somebody_looks(page):
    for name in ("patching", "head"):
        assert not {"head_controls", "direct"} & asked(page(name))


def test_the_address_opens_them_on_the_page_of_a_head_with_a_panel_a_direction(page):
    test = page("head", head="L2H6", controls="1")
    assert "head_controls" in asked(test)
    assert "INSTRUCT → BASE: L2H6 moves BASE by" in said(test) and "BASE → INSTRUCT: L2H6 moves INSTRUCT by" in said(
        test
    )
    figure = chart(test, "head_controls")
    bars = [trace for trace in figure["data"] if trace["type"] == "bar" and len(trace["x"]) == 4]
    assert len(bars) == 2
    for bar in bars:
        direct, _, indirect, total = np.array(bar["y"], float)
        assert direct + indirect == pytest.approx(total) and abs(total) > 0.01


def test_a_head_that_does_no_more_than_chance_is_doubted(page):
    """The tiny pair's heads of layer 0 were changed little, and look at nothing that matters."""
    doubted = [
        head
        for head in range(4)
        if "it says nothing of the content" in said(page("head", head=f"L0H{head}", controls="1"))
    ]
    assert doubted


def test_the_panel_beside_the_map_says_the_same_in_short_once_it_is_asked(page):
    test = page("patching", head="L2H6")
    assert "directly, by" not in said(test)
    toggle = next(toggle for toggle in test.get("toggle") if toggle.label.startswith("Direct, indirect"))
    test = settled(toggle.set_value(True).run())
    assert "L2H6 moves BASE by" in said(test) and test.query_params["controls"] == "1"
    back = page("patching", head="L2H6", controls="1", direction="base_to_instruct")
    assert "L2H6 moves INSTRUCT by" in said(back)


def test_every_heads_direct_effect_is_set_against_its_total_and_the_sentence_counts(page):
    test = page("patching", part="direct")
    figure = chart(test, "direct_total")
    points = max((trace for trace in figure["data"] if trace["type"] == "scatter"), key=lambda t: len(t["x"]))
    assert len(points["x"]) == 32
    assert "by more than 0.05 logits," in said(test) and re.search(
        "against the sign of what (it|they) writes? directly", said(test)
    )


def test_of_a_layers_site_layers_are_set_against_each_other(page):
    test = page("patching", part="direct", site="mlp_out")
    figure = chart(test, "direct_total")
    assert "Every layer" in json.dumps(figure["layout"]["title"])
    assert "layer" in said(test)
