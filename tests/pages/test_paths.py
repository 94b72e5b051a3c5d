"""Paths into a head and frozen patterns on the pages, the app run without a browser."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.charts.paths import sender_at
from pages.shared import service
from tests.pages.app import opened, settled


@pytest.fixture
def page(monkeypatch, forget):
    """page, parameters of the address → the page, settled."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda name, **parameters: settled(opened(f"{name}/page.py", pair="tiny", **parameters))


def asked(test: AppTest) -> set[str]:
    return {asked.question for asked in test.session_state.held}


def answer(test: AppTest, question: str):
    return next(each.value for each in test.session_state.asking.followed if each.asked.question == question)


def said(test: AppTest) -> str:
    return " ".join(each.value for kind in ("markdown", "caption") for each in test.get(kind)).replace("\\", "")


def chart(test: AppTest, key: str) -> dict:
    return next(json.loads(c.proto.spec) for c in test.get("plotly_chart") if f"-{key}" in c.proto.id)


def click(test: AppTest, key: str) -> AppTest:
    test.button(key=key).click()
    return settled(test)


def test_no_path_runs_before_somebody_looks(page):
    assert "paths" not in asked(page("head", head="L2H6"))


def test_the_address_opens_the_map_of_the_followed_heads_last_input(page):
    test = page("head", head="L3H1", path="L3H1,L2H6", into="v", shared="group")
    found, figure = answer(test, "paths"), chart(test, "paths")
    assert (found.receiver, found.alone) == ((2, 6), False)
    shown = np.array(next(t["z"] for t in figure["data"] if t["type"] == "heatmap" and "coloraxis" in t), float)
    values = [
        [found.score[2, found.senders.index(sender_at(found, row, column))] for column in range(found.n_heads + 1)]
        for row in range(3)
    ]
    colourful = np.isfinite(shown)
    assert colourful.any()
    np.testing.assert_allclose(shown[colourful], np.array(values)[colourful])
    assert f"values of {found.of('v')}" in figure["layout"]["title"]["text"]
    assert "Of all single paths into L2H6" in said(test) or "No single path into L2H6" in said(test)


def test_a_step_of_the_path_leads_back_and_the_last_one_to_its_own_page(page):
    test = page("head", head="L3H1", path="L3H1,L2H6,L1H0")
    assert answer(test, "paths").receiver == (1, 0)
    test = click(test, "path_step_1")
    assert test.query_params["path"] == "L3H1,L2H6" and answer(test, "paths").receiver == (2, 6)
    test = click(test, "path_back")
    assert test.query_params["path"] == "L3H1" and answer(test, "paths").receiver == (3, 1)
    test = click(page("head", head="L3H1", path="L3H1,L2H6"), "path_show")
    assert (test.query_params["head"], test.query_params["path"]) == ("L2H6", "L2H6")


@pytest.mark.parametrize("path", ["L2H6,L1H0", "L3H1,L3H2", "L3H1,L1H0,L2H0"])
def test_a_path_that_is_of_another_head_or_does_not_fall_begins_anew(page, path):
    assert answer(page("head", head="L3H1", path=path), "paths").receiver == (3, 1)


def test_queries_are_always_the_heads_own(page):
    test = page("head", head="L2H6", path="L2H6", shared="group")
    found = answer(test, "paths")
    assert "queries of L2H6" in chart(test, "paths")["layout"]["title"]["text"]
    assert not found.alone


def test_a_head_of_the_first_layer_has_the_embedding_alone_before_it(page):
    test = page("head", head="L0H2", path="L0H2")
    assert [sender.name for sender in answer(test, "paths").senders] == ["embedding"]
    assert "A click on a head" not in said(test)


def test_frozen_patterns_are_asked_for_and_named_and_have_no_estimate(page):
    free, frozen = page("patching"), page("patching", frozen="1")
    assert "estimate" not in {each.asked.question for each in frozen.session_state.asking.followed}
    sweeps = [answer(test, "sweep") for test in (free, frozen)]
    assert np.abs(sweeps[0].effect - sweeps[1].effect).max() > 0.01
    np.testing.assert_allclose(sweeps[0].effect[-1], sweeps[1].effect[-1], atol=1e-4)
    figures = [json.loads(test.get("plotly_chart")[0].proto.spec) for test in (free, frozen)]
    titles = [figure["layout"]["title"]["text"] for figure in figures]
    assert titles[1] == f"{titles[0]}, patterns frozen"
    assert "every attention pattern behind it held at BASE's" in said(frozen)
    assert "With attention patterns frozen: " in said(frozen) and "frozen" not in said(free)
    assert "where patterns are not frozen. A clicked cell" in said(frozen)
    made = frozen.session_state.downloads["patching"]
    assert "frozen-patterns" in made.stem and "frozen_patterns" in made.csv().splitlines()[0]
    assert "frozen_patterns" not in free.session_state.downloads["patching"].csv().splitlines()[0]


def test_what_runs_with_free_patterns_says_so_beside_a_map_that_holds_them(page):
    address = {"part": "card", "heads": "L1H2,L2H6", "head": "L2H6", "controls": "1"}
    free, frozen = page("patching", **address), page("patching", frozen="1", **address)
    for told in ("In a card all patterns run freely", "Here all patterns run freely"):
        assert told in said(frozen) and told not in said(free)


@pytest.mark.parametrize("part", ["greedy", "set", "pairs", "direct", "scatter", "groups", "positions"])
def test_every_closer_look_takes_frozen_patterns(page, part):
    test = page("patching", frozen="1", part=part, heads="L1H2,L2H6", steps="2")
    for each in test.session_state.asking.followed:
        if each.asked.question in ("sweep", "position_map", "pairs", "head_set", "greedy"):
            assert dict(each.asked.options)["frozen_patterns"] is True
