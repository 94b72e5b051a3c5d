"""When the address is read and when it is written: the session's own wish decides, never how fast a browser is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from core.experiment import Experiment
from pages.shared import state


class Session(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Browser(dict):
    """What the browser says its address is, and what it was told."""

    def __init__(self):
        super().__init__()
        self.told: list[dict] = []

    to_dict = dict.copy

    def from_dict(self, query: dict) -> None:
        self.told.append(query)


@pytest.fixture
def tab(monkeypatch):
    tab = SimpleNamespace(session_state=Session(), query_params=Browser())
    run = SimpleNamespace(is_history_navigation=False)
    monkeypatch.setattr(state, "st", tab)
    monkeypatch.setattr(state, "run_context", lambda: run)
    monkeypatch.setattr(state, "service", lambda: SimpleNamespace(start=Experiment()))

    def visit(back: bool = False, **query: str) -> None:
        run.is_history_navigation = back
        tab.query_params.clear()
        tab.query_params.update(query)
        state.read_address()

    yield SimpleNamespace(visit=visit, session=tab.session_state, told=tab.query_params.told)


def test_the_address_is_read_when_a_tab_opens_and_when_its_viewer_goes_back_only(tab):
    tab.visit(sentence="first")
    assert state.experiment().sentence == "first"
    state.edit(sentence="edited")
    for query in ({}, {"sentence": "first"}, {"sentence": "of a link"}):
        tab.visit(**query)
        assert state.experiment().sentence == "edited"
    tab.visit(back=True, sentence="first")
    assert state.experiment().sentence == "first"


def test_an_edit_that_takes_back_another_one_leaves_the_first_address(tab):
    tab.visit()
    for sentence in ("edited", Experiment().sentence):
        state.edit(sentence=sentence)
        # The browser has got no address since it opened.
        tab.visit()
        state.write_address()
    assert [query.get("sentence") for query in tab.told] == ["edited", None]


def test_an_address_that_the_browser_has_is_not_written_again(tab):
    tab.visit(pair="tiny", sentence="first")
    state.write_address()
    tab.visit(pair="tiny", sentence="first")
    state.write_address()
    assert tab.told == []


def test_what_cannot_be_read_is_told_until_an_edit_of_the_experiment_or_the_view(tab):
    for edit in (lambda: state.edit(sentence="x"), lambda: state.set_view("head", "L0H1")):
        tab.visit(back=True, sentense="3", head="nonsense")
        assert len(tab.session.complaints) == 2
        tab.visit(sentense="3", head="nonsense")
        assert len(tab.session.complaints) == 2
        edit()
        assert tab.session.complaints == []


FOREIGN = {"utm_source": "mail", "utm_medium": "x", "fbclid": "1", "gclid": "2", "ref": "post", "zoom": "3"}


def test_what_others_have_added_to_an_address_is_passed_over_in_silence(tab):
    tab.visit(**FOREIGN)
    assert state.experiment() == Experiment() and tab.session.complaints == []
    tab.visit(back=True, **FOREIGN, sentence="first", head="L0H1")
    assert state.experiment().sentence == "first" and state.view("head") == "L0H1"
    assert tab.session.complaints == []


def test_an_address_is_not_written_again_for_what_others_have_added_until_an_edit(tab):
    for query in (FOREIGN, {**FOREIGN, "pair": "tiny", "sentence": "first"}):
        # A written one would be an entry of the browser's history that Back cannot leave.
        tab.visit(back=True, **query)
        state.write_address()
    assert tab.told == []
    state.edit(sentence="edited")
    state.write_address()
    assert tab.told == [{"pair": "tiny", "sentence": "edited"}]


@pytest.mark.parametrize(
    "typed, meant",
    [("sentense", "sentence"), ("Instruction", "instruction"), ("heads_", "heads"), ("orginal", "original")],
)
def test_a_parameter_that_was_mistyped_is_told_with_the_one_that_was_meant(tab, typed, meant):
    tab.visit(**{typed: "x"})
    (told,) = tab.session.complaints
    assert f"{typed}=x" in told and f"Did you mean {meant}?" in told


def test_undo_steps_back_through_experiments_and_over_what_only_follows_a_token(tab):
    tab.visit()
    start = state.experiment()
    for sentence in ("first", "second", "second"):
        state.edit(sentence=sentence)
        state.edit(picked=3)
    state.undo()
    assert state.experiment().sentence == "first"
    state.undo()
    assert state.experiment() == start and state.past() == []
    state.undo()
    assert state.experiment() == start


def test_undoing_a_swap_puts_both_back(tab):
    tab.visit()
    a = state.experiment()
    state.compare(a)
    state.edit(sentence="second")
    b = state.experiment()
    state.swap()
    assert (state.compared(), state.experiment()) == (b, a)
    state.edit(sentence="third")
    state.undo()
    assert (state.compared(), state.experiment()) == (b, a)
    state.undo()
    assert (state.compared(), state.experiment()) == (a, b)
    state.undo()
    assert (state.compared(), state.experiment()) == (a, a)


def test_undo_after_going_back_is_a_step_too(tab):
    tab.visit()
    state.edit(sentence="first")
    state.edit(sentence="second")
    tab.visit(back=True, pair="tiny", sentence="first")
    state.undo()
    assert state.experiment() == Experiment()


def test_the_steps_that_can_be_undone_are_bounded(tab):
    tab.visit()
    for n in range(2 * state.MOST_STEPS):
        state.edit(sentence=str(n))
    assert len(state.past()) == state.MOST_STEPS
