"""A free prompt whose text is edited: what that leaves behind is refused with the ways out, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.experiment import check
from pages.shared.stale import comparable_words, exact_words
from tests.pages.app import opened, settled

TEXT, OTHER = "The fox is quick. The dog is", "The bear is sad. The dog is"


@pytest.fixture
def app(forget):
    """parameters of the address → the app with that free prompt, settled."""

    def make(prompt: str = TEXT, original: str = " quick", **parameters: str) -> AppTest:
        return settled(opened(pair="tiny", prompt=prompt, original=original, **parameters))

    return make


def type_prompt(test: AppTest, text: str) -> AppTest:
    return settled(test.text_area[0].set_value(text).run())


def click(test: AppTest, label: str) -> AppTest:
    return settled(next(button for button in test.button if button.label == label).click().run())


def refused(test: AppTest) -> list[str]:
    return [error.value for error in test.error]


def experiment(test: AppTest):
    return test.session_state.experiment


def test_an_original_that_an_edit_leaves_behind_is_refused_until_that_is_taken_back_or_meant(app):
    test = app()
    assert not refused(test)
    (message,) = refused(type_prompt(test, OTHER))
    assert "quick" in message and "no longer" in message
    # A second edit does not make it stand there.
    assert len(refused(type_prompt(test, f"{OTHER} so"))) == 1
    click(test, "Take back the edit")
    assert experiment(test).prompt == TEXT and not refused(test)
    type_prompt(test, OTHER)
    click(test, "Keep it all the same")
    assert not refused(test) and any("stands nowhere" in caption.value for caption in test.caption)
    assert "repeat" not in test.title[0].value
    assert not refused(type_prompt(test, f"{OTHER} so"))


def test_another_word_of_the_prompt_is_offered_exactly_as_it_stands_there(app):
    test = type_prompt(app(answer=" big"), "Bear and big dog.\nThe bear is and is")
    (menu,) = [each.proto for each in test.get("menu_button") if "Another word" in each.proto.label]
    assert list(menu.options) == ["␣Bear", "␣and", "␣dog", "␣The", "␣bear", "␣is"]
    # Long ones that begin alike are told apart.
    alike = "The counterrevolutionary and counterrevolutionaries are"
    (menu,) = [each.proto for each in type_prompt(test, alike).get("menu_button") if "Another" in each.proto.label]
    assert list(menu.options)[1:] == ["␣counterrevolutionary", "␣and", "␣counterrevolutionaries", "␣are"]
    type_prompt(test, "Bear and big dog.\nThe bear is and is")
    for word in comparable_words(experiment(test)):
        check(replace(experiment(test), original=word))
    assert comparable_words(replace(experiment(test), prompt="Bear and dog:"))[0] == "Bear"
    assert exact_words("quick quick-footed, l'eau") == ["quick", " quick-footed", " l'eau"]


def test_an_answer_that_an_edit_leaves_behind_can_be_left_to_instruct(app):
    test = app(prompt="The sad dog is quick. The dog is", answer=" sad")
    (message,) = refused(type_prompt(test, TEXT))
    assert "sad" in message
    click(test, "INSTRUCT's own answer")
    assert experiment(test).answer == "" and not refused(test)


def test_what_is_typed_again_on_purpose_is_compared(app):
    test = type_prompt(app(), OTHER)
    for typed in (" sad", " quick"):
        settled(test.text_input(key="input_original").set_value(typed).run())
    assert experiment(test).original == " quick" and not refused(test)


def test_what_never_stood_there_is_compared_whatever_the_text_becomes(app):
    test = app(original=" sad")
    assert not refused(test)
    assert not refused(type_prompt(test, "The fox is quick and big. The dog is"))


def test_of_a_prompt_that_was_begun_from_the_sentence_the_sentences_word_is_left_behind(app):
    test = settled(opened(pair="tiny"))
    test.session_state["settings"] = True
    test.run()
    click(test, "Write a free prompt")
    made = experiment(test).prompt
    assert "quick" in made and not refused(test) and not test.session_state["settings"]
    assert len(refused(type_prompt(test, OTHER))) == 1
    # Without any text it is the sentence again.
    type_prompt(test, "")
    assert not experiment(test).is_free and experiment(test).original == "quick" and not refused(test)
