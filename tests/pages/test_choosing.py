"""The original word chooses itself, and never against the viewer: the app run without a browser."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from cache.questions.catalogue import QUESTIONS
from core.rewriting import Rewriting
from pages.shared import service
from tests.pages.app import SOON, opened, settled

NEW = "The bird sings an old song."


@pytest.fixture
def app(monkeypatch, forget):
    """parameters of the address → the app on Explore, settled."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)

    def make(**parameters: str) -> AppTest:
        return settled(opened(**{"pair": "tiny", **parameters}))

    return make


@pytest.fixture
def writing(monkeypatch):
    """INSTRUCT's rewriting is held: (it has begun, it may go on)."""
    begun, go_on, asked = threading.Event(), threading.Event(), QUESTIONS["rewriting"]

    def answer(work) -> Rewriting:
        begun.set()
        assert go_on.wait(SOON)
        return asked.answer(work)

    monkeypatch.setitem(QUESTIONS, "rewriting", replace(asked, answer=answer))
    return begun, go_on


def with_figures(test: AppTest) -> AppTest:
    """Run until the first figures of what is asked now are there, whatever else is under way."""
    for _ in range(600):
        held = {asked: held.job for asked, held in test.session_state.held.items() if asked.question == "overview"}
        job = held[test.session_state.last["overview"]]
        now = QUESTIONS["overview"].matters(test.session_state.experiment)
        if job.state == "done" and test.session_state.last["overview"].experiment == now:
            return test
        threading.Event().wait(0.05)
        test.run()
    raise AssertionError("no figures came")


def type_into(test: AppTest, label: str, text: str) -> AppTest:
    return next(box for box in test.text_input if box.label == label).set_value(text).run()


def word(test: AppTest) -> str:
    experiment = test.session_state.experiment
    return experiment.original


def refusals(test: AppTest) -> list[str]:
    return [error.value for error in test.error]


def test_a_new_sentence_is_about_the_word_that_instruct_changes_and_the_address_spells_it(app):
    test = settled(type_into(app(), "Sentence", NEW))
    assert word(test) == "old" and not refusals(test)
    assert test.query_params["original"] == "old" and test.query_params["sentence"] == NEW


def test_until_instruct_has_written_the_first_content_word_has_figures(app, writing):
    begun, go_on = writing
    test = with_figures(type_into(app(), "Sentence", NEW))
    assert word(test) == "bird" and not refusals(test)
    # No entry that Back would come to.
    assert "sentence" not in test.query_params
    go_on.set()
    assert word(settled(test)) == "old" and begun.is_set()


@pytest.mark.parametrize("label, text", [("Original word", "song"), ("Answer: the replacement", "dog")])
def test_a_choice_made_meanwhile_stays(app, writing, label, text):
    _, go_on = writing
    test = with_figures(type_into(app(), "Sentence", NEW))
    type_into(test, label, text)
    go_on.set()
    settled(test)
    assert word(test) == ("song" if label == "Original word" else "bird")
    assert test.query_params["original"] == word(test)


def test_a_chosen_word_stays_while_it_stands_in_the_sentence_case_apart_and_is_one_token_there(app):
    test = app(sentence="The quick fox sees the sad dog.", original="the")
    for sentence, stays in (
        ("The old bear sleeps.", "The"),
        ("See the old bear!", "the"),
        ("", "the"),
        ("A sad cat sees the dog and the bear.", "the"),
    ):
        test = settled(type_into(test, "Sentence", sentence))
        assert word(test) == stays
    assert not refusals(test)
    type_into(test, "Original word", "sad")
    assert word(settled(type_into(test, "Sentence", "Sad and old!"))) == "old" and not refusals(test)
    # Who asks for that word by name is told why it cannot be.
    assert word(settled(type_into(test, "Original word", "Sad"))) == "Sad" and refusals(test)


def test_a_stand_in_of_several_tokens_is_refused_to_nobody(app, writing):
    _, go_on = writing
    test = type_into(app(), "Sentence", "The xylophonist sees an old dog.")
    assert word(test) == "xylophonist"
    for _ in range(20):
        test.run()
        assert not refusals(test)
    go_on.set()
    assert word(settled(test)) == "old" and not refusals(test)


def test_a_link_without_a_word_that_stands_in_its_sentence_chooses_one_and_a_named_one_is_refused(app):
    assert word(app(sentence=NEW)) == "old"
    test = app(sentence=NEW, original="quick")
    assert word(test) == "quick" and "does not stand" in refusals(test)[0]


def test_a_function_word_that_has_chosen_itself_gives_way_in_the_next_sentence(app):
    test = settled(type_into(app(), "Sentence", "The xylophonist."))
    assert word(test) == "The"
    assert word(settled(type_into(test, "Sentence", NEW))) == "old" and not refusals(test)


def test_a_new_sentence_beside_a_refused_instruction_is_in_the_address_and_chooses_its_word_once_that_is_mended(app):
    test = type_into(type_into(app(), "Instruction", ""), "Sentence", NEW)
    assert refusals(test) and test.query_params["sentence"] == NEW
    # For who opens the link it is still nobody's choice.
    assert "original" not in test.query_params
    assert word(settled(type_into(test, "Instruction", "Rephrase the following sentence"))) == "old"


def test_a_rewriting_that_fails_leaves_the_stand_in(app, monkeypatch):
    def fails(work) -> Rewriting:
        raise MemoryError

    monkeypatch.setitem(QUESTIONS, "rewriting", replace(QUESTIONS["rewriting"], answer=fails))
    test = settled(type_into(app(), "Sentence", NEW))
    assert word(test) == "bird" and test.query_params["original"] == "bird" and not refusals(test)
