"""A figure is dimmed by its own answer, and a failure stands where its figure would: the app run without a browser."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from cache.questions.catalogue import QUESTIONS
from core.experiment import InputError
from pages.shared import service
from tests.pages.app import SOON, opened, settled
from tests.pages.numbers import gap_numbers


@pytest.fixture
def app(monkeypatch, forget):
    """page → the app on that page, once its first figures are there."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)

    def make(page: str) -> AppTest:
        test = opened(page)
        # A folded part asks only where somebody looks.
        test.session_state["fold_patches"] = True
        return settled(test)

    return make


def dimmed(test: AppTest) -> set[str]:
    """The keys of what is dimmed."""
    styles = "".join(html.proto.body for html in test.get("html"))
    return set(re.findall(r"st-key-figures_(\w+) { opacity: 0\.45", styles))


def edit(test: AppTest, sentence: str) -> AppTest:
    box = next(box for box in test.text_input if box.label == "Sentence")
    return box.set_value(sentence).run()


def held(monkeypatch, question: str) -> tuple[threading.Event, threading.Event]:
    """Hold every later answer to a question: (one has begun, they may go on)."""
    begun, go_on, asked = threading.Event(), threading.Event(), QUESTIONS[question]

    def answer(work, **options):
        begun.set()
        assert go_on.wait(SOON)
        return asked.answer(work, **options)

    monkeypatch.setitem(QUESTIONS, question, replace(asked, answer=answer))
    return begun, go_on


@pytest.mark.parametrize(
    "page, question, key", [("head", "head_patches", "patches"), ("attention", "pattern", "pattern")]
)
def test_what_is_still_of_the_prompt_before_is_dimmed_and_its_neighbours_are_not(app, monkeypatch, page, question, key):
    test = app(f"{page}/page.py")
    assert dimmed(test) == set()
    begun, go_on = held(monkeypatch, question)
    edit(test, "The quick dog sees the cat.")
    assert begun.wait(SOON)
    # The others have been answered before this one began, or wait behind it.
    test.run()
    assert key in dimmed(test) and page not in dimmed(test)
    go_on.set()
    assert dimmed(settled(test)) == set()


def test_a_failure_is_told_in_its_place_with_a_way_to_try_again_and_by_no_rerun(app, monkeypatch):
    asked, computed = QUESTIONS["head_patches"], []

    def fails(work, **options):
        computed.append(options)
        raise ValueError("operands could not be broadcast")

    monkeypatch.setitem(QUESTIONS, "head_patches", replace(asked, answer=fails))
    test = app("head/page.py")
    for _ in range(3):
        settled(test)
        (told,) = test.error
        assert told.value == "The computation failed (ValueError); the server's log has it."
    assert len(computed) == 1
    monkeypatch.setitem(QUESTIONS, "head_patches", asked)
    settled(next(button for button in test.button if button.label == "Try again").click().run())
    assert not test.error and not dimmed(test)


def test_a_failing_continuation_is_told_and_leaves_the_figures(app, monkeypatch):
    asked, computed = QUESTIONS["continuation"], []

    def fails(work, **options):
        computed.append(options)
        raise MemoryError

    monkeypatch.setitem(QUESTIONS, "continuation", replace(asked, answer=fails))
    test = app("explore/page.py")
    for _ in range(3):
        settled(test)
    assert [told.value for told in test.error] == ["The computation failed (MemoryError); the server's log has it."]
    assert len(computed) == 2 and len(gap_numbers(test)) == 3


def test_a_refused_input_is_told_beside_it_and_may_be_tried_again(app, monkeypatch):
    test = app("explore/page.py")
    asked = QUESTIONS["overview"]

    def refuses(work, **options):
        raise InputError("both models are in use; wait", "pair")

    monkeypatch.setitem(QUESTIONS, "overview", replace(asked, answer=refuses))
    settled(edit(test, "The quick dog sees the cat."))
    assert [told.value.replace("\\", "") for told in test.error] == ["Both models are in use; wait"]
    assert len(test.error) == 1 and "overview" in dimmed(test)
    monkeypatch.setitem(QUESTIONS, "overview", asked)
    settled(next(button for button in test.button if button.label == "Try again").click().run())
    assert not test.error and not dimmed(test)
