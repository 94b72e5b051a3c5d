"""The list of the last experiments: what is in it, with which numbers, and how one returns."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.experiment import Experiment
from core.wording import signed
from pages.shared import history, service
from tests.pages.app import opened, settled
from tests.pages.numbers import gap_numbers
from tests.pages.test_stage import SENTENCES, type_sentence


@pytest.fixture
def app(monkeypatch, forget) -> AppTest:
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return settled(opened("", pair="tiny"))


def listed(test: AppTest) -> list[history.Entry]:
    return test.session_state["history"]


def answer(test: AppTest, word: str) -> AppTest:
    return settled(next(box for box in test.text_input if box.label.startswith("Answer")).set_value(word).run())


def test_every_experiment_is_listed_once_with_its_numbers_the_newest_first(app):
    shown = [gap_numbers(app)]
    for sentence in SENTENCES:
        app = type_sentence(app, sentence)
        shown.append(gap_numbers(app))
    app = type_sentence(app, SENTENCES[0])
    found = listed(app)
    assert [entry.experiment.sentence for entry in found] == [*reversed(SENTENCES), Experiment().sentence]
    for entry, numbers in zip(found, reversed(shown)):
        base, instruct = entry.numbers
        assert [signed(base), signed(instruct), signed(instruct - base)] == numbers
    assert found[-1].words == (" quick", " swift")


def test_what_is_followed_makes_no_other_experiment_and_what_is_refused_none(app):
    app.session_state["experiment"] = Experiment(pair="tiny", picked=3, colon=1)
    assert len(listed(settled(app))) == 1
    app = answer(app, "swift-footed")
    assert app.error and len(listed(app)) == 1
    assert len(listed(answer(app, "fast"))) == 2


def test_twenty_are_kept(app):
    for n in range(history.MOST + 3):
        app.session_state["experiment"] = Experiment(pair="tiny", instruction=f"Rephrase {n} words of")
        app.run()
    found = listed(settled(app))
    assert len(found) == history.MOST and found[0].experiment.instruction == "Rephrase 22 words of"
    assert len({entry.number for entry in found}) == history.MOST


def test_in_short_names_what_is_not_the_defaults():
    say = history.in_short
    assert say(Experiment(pair="tiny")) == "The quick fox jumps over the dog."
    other = Experiment(pair="smollm2-rephrase", instruction="Repeat it", template="chat", dtype="float64")
    for part in ("Repeat it", "template chat", "pair smollm2-rephrase", "float64"):
        assert part in say(other)
    assert say(Experiment(pair="tiny", prompt="2 + 2 =")) == "2 + 2 ="
