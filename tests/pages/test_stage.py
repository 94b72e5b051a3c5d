"""The stage: what a page shows on it, and what its axes span: the app run without a browser."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from core.experiment import DEFAULT_INSTRUCTION, Experiment
from core.presets import SHIPPED
from pages.shared import choosing, presets, service, stage, state
from tests.pages.app import opened, settled
from tests.pages.test_state import Browser, Session

PAGES = ("attribution", "patching", "origin", "attention", "head")
SENTENCES = ("The happy girl sees the old dog.", "The tired horse sleeps near the small river.")


@pytest.fixture
def app(monkeypatch, forget):
    """page, parameters of the address → the app on it, settled."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)

    def make(page: str = "", **parameters: str) -> AppTest:
        return settled(opened(page and f"{page}/page.py", pair="tiny", **parameters))

    return make


def charts(test: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def span(test: AppTest) -> tuple[float, float]:
    """What the axis of the logit differences spans."""
    low, high = charts(test)[0]["layout"]["xaxis"]["range"]
    return low, high


def type_sentence(test: AppTest, sentence: str) -> AppTest:
    return settled(next(box for box in test.text_input if box.label == "Sentence").set_value(sentence).run())


@pytest.mark.parametrize("page", ["", *PAGES])
def test_a_page_on_the_stage_is_one_figure_in_large_type_and_no_plumbing(app, page):
    test = app(page, stage="1")
    found = charts(test)
    assert len(found) == 1 and found[0]["layout"]["font"]["size"] > 16
    for kind in ("expander", "caption", "metric", "dataframe", "segmented_control", "selectbox", "popover"):
        assert not test.get(kind), kind
    assert not test.sidebar.children
    # An address that a talk begins with is what the next page is opened with.
    assert test.query_params["stage"] == "1"


def test_axes_stay_while_prompts_are_edited_until_they_are_fitted_anew(app):
    test = app(stage="1")
    spans = [span(test)]
    for sentence in SENTENCES:
        spans.append(span(type_sentence(test, sentence)))
    for before, after in zip(spans, spans[1:]):
        assert after[0] <= before[0] and after[1] >= before[1]
    # As the key does.
    test.session_state["spans"] = {}
    fitted = span(settled(test))
    assert fitted != spans[-1]
    assert fitted == span(type_sentence(app(), SENTENCES[-1]))


def test_on_an_axis_that_has_held_longer_bars_there_is_room_for_the_numbers_of_shorter_ones(app):
    test = app(stage="1")
    (shortest, _), ends = test.session_state["spans"]["logit difference"], charts(test)[0]["data"][0]["x"]
    assert shortest == pytest.approx(min(ends), abs=1e-3)
    test.session_state["spans"] = {"logit difference": (shortest, 30.0)}
    low, high = span(settled(test))
    assert high > 30 and shortest - low > 0.11 * (high - low)


def test_off_the_stage_every_prompt_has_axes_of_its_own(app):
    test = app()
    first = span(test)
    type_sentence(test, SENTENCES[0])
    assert span(test) != first
    assert span(type_sentence(test, Experiment().sentence)) == first


@pytest.fixture
def tab(monkeypatch):
    tab = SimpleNamespace(session_state=Session(), query_params=Browser())
    run = SimpleNamespace(is_history_navigation=True)
    settings = SimpleNamespace(presets=None, pairs=None)
    for module in (state, choosing, presets, stage):
        monkeypatch.setattr(module, "st", tab)
        if module is not stage:
            monkeypatch.setattr(module, "service", lambda: SimpleNamespace(start=Experiment(), settings=settings))
    monkeypatch.setattr(state, "run_context", lambda: run)

    def visit(**query: str) -> None:
        tab.query_params.clear()
        tab.query_params.update(query)
        state.read_address()
        presets.read()

    yield SimpleNamespace(visit=visit, session=tab.session_state, settings=settings)


def press(key: str) -> None:
    next(shortcut.act for shortcut in (*stage.SHORTCUTS, *presets.shortcuts()) if shortcut.key == key)()


def test_a_key_enters_and_leaves_the_stage_which_is_part_of_the_address(tab):
    tab.visit(pair="tiny")
    press("p")
    assert stage.on() and state.address()["stage"] == "1"
    press("p")
    assert not stage.on() and "stage" not in state.address()


def test_an_address_that_asks_for_the_stage_alone_has_the_servers_own_pair(tab, monkeypatch):
    start = Experiment(pair="smollm2-rephrase")
    monkeypatch.setattr(state, "service", lambda: SimpleNamespace(start=start))
    tab.visit(stage="1")
    assert stage.on() and state.experiment() == start
    # An old link to a head means the pair that it was made on.
    tab.visit(stage="1", head="L2H6")
    assert state.experiment().pair == "tiny"


def test_a_number_key_chooses_a_preset_on_the_pair_at_hand_and_can_be_undone(tab):
    tab.visit(pair="smollm2-rephrase", sentence="The sad fox sleeps.", original="sad", answer="tired", template="chat")
    before = state.experiment()
    press("3")
    third = list(SHIPPED.values())[2]
    assert state.experiment() == Experiment(pair="smollm2-rephrase", **third)
    state.undo()
    assert state.experiment() == before


def test_the_speakers_own_presets_come_before_those_that_are_shipped(tab, tmp_path):
    tab.settings.presets = tmp_path / "talk.toml"
    tab.settings.presets.write_text("[[preset]]\ntitle = 'Boat'\nsentence = 'The boat is small.'\npair = 'tiny'\n")
    tab.visit(pair="smollm2-rephrase", presets="The tired nurse closed the door.")
    assert list(presets.offered())[:3] == ["The tired nurse closed the door.", "Boat", next(iter(SHIPPED))]
    press("1")
    # The word is INSTRUCT's to choose: the first one stands in.
    assert state.experiment().original == "tired" and choosing.open_choice()
    assert state.experiment().instruction == DEFAULT_INSTRUCTION and state.experiment().pair == "smollm2-rephrase"
    press("2")
    assert state.experiment().pair == "tiny" and state.experiment().original == "boat"


def test_presets_in_the_address_that_cannot_be_read_are_told_and_left_out(tab):
    tab.visit(pair="tiny", presets="sentense=x&a=b")
    assert "unknown key" in tab.session.complaints[0] and list(presets.offered()) == list(SHIPPED)
    assert "presets" not in state.address()
