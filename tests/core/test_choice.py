"""The original while the sentence is edited: a choice stays on its word, and no edit leaves one that is refused."""

from dataclasses import replace

import pytest

from core.choice import chosen_word, first_content_word, keep_choice, stands
from core.experiment import Experiment, prompt_text
from core.function_words import is_function_word

TWICE = "The big dog saw the big cat near the house."


def moved(sentence: str, original: str, new: str, occurrence: int = 0) -> dict:
    return keep_choice(Experiment(sentence=sentence, original=original, occurrence=occurrence), new)


def word(original: str, occurrence: int = 0) -> dict:
    return {"original": original, "occurrence": occurrence}


@pytest.mark.parametrize(
    "new, kept",
    [
        ("The quick cat jumps over the dog.", word("quick")),
        ("Quick foxes jump.", word("Quick")),
        ("A dog sees the quick quick fox.", word("quick", 1)),
        ("The QUICK fox is quick.", word("QUICK")),
        ("My dog is tired, but quick.", word("quick")),
        ("The quickest fox.", {}),
        ("Birds sing.", {}),
        ("", {}),
    ],
)
def test_the_original_is_kept_where_it_stands_in_the_new_sentence_case_apart(new, kept):
    assert moved("The quick fox jumps over the dog.", "quick", new) == kept


def test_of_two_alike_the_edit_keeps_the_one_that_was_chosen():
    assert moved(TWICE, "big", "Today the big dog saw the big cat.", 2) == word("big", 2)
    assert moved(TWICE, "big", "The dog saw the big cat near the house.", 2) == word("big")
    assert moved(TWICE, "big", "The big dog saw the big cat and the big house.", 2) == word("big", 2)
    assert moved(TWICE, "big", "A big big big big mouse.", 2)["original"] == "big"


def test_a_word_written_over_the_original_is_the_original_and_its_answer_is_open():
    assert moved("The quick fox jumps.", "quick", "The sleepy fox jumps.") == {**word("sleepy"), "answer": ""}
    assert moved(TWICE, "big", "The big dog saw the small cat near the house.", 2) == {**word("small"), "answer": ""}
    # Written over by a function word, or by more than one word, it is gone.
    assert moved("The quick fox jumps.", "quick", "The very fox jumps.") == {}
    assert moved("The quick fox jumps.", "quick", "The sleepy old fox jumps.") == {}


def test_an_original_of_several_words_is_kept_too():
    assert moved("He saw New York.", "New York", "She never saw New York.") == word("New York")


def test_what_is_kept_is_never_refused():
    for sentence, original, occurrence in ((TWICE, "big", 2), (TWICE, "big", 0), ("A big dog.", "big", 0)):
        for new in (TWICE, "Big big BIG.", "A bigger, big dog's big-eared friend is big."):
            kept = moved(sentence, original, new, occurrence)
            prompt_text(replace(Experiment(), sentence=new, **kept))


def test_the_chosen_word_has_a_number_unless_it_is_open_which_it_is():
    assert chosen_word(Experiment()) == 1
    assert chosen_word(Experiment(sentence=TWICE, original="big", occurrence=2)) == 5
    assert [chosen_word(Experiment(sentence=TWICE, original="big", occurrence=n)) for n in (0, 3)] == [None, None]
    assert chosen_word(Experiment(original="slow")) is None


@pytest.mark.parametrize(
    "text, candidate, there",
    [
        ("The quick fox", " quick", True),
        ("quick, he said", " quick", True),
        ("quicker", " quick", False),
        ("the quick", " qui", False),
        ("2 + 2 =", " =", True),
        ("2 + 2 =", " 5", False),
        ("2 + 2 =", " ", False),
    ],
)
def test_a_candidate_stands_in_a_text_as_a_whole_word_or_sign(text, candidate, there):
    assert stands(text, candidate) is there


def test_the_first_word_that_is_no_function_word_is_taken_first():
    assert first_content_word("There was an old man.") == 3
    assert first_content_word("It's not your dog’s.") == 3
    assert first_content_word("There was an old man.", lambda index: index != 3) == 4
    assert first_content_word("He is.") == 0 and first_content_word("He is.", lambda index: index == 1) == 1
    assert first_content_word("…") is None and first_content_word("A dog.", lambda index: False) is None


def test_function_words_are_the_closed_classes_whatever_their_case():
    assert all(map(is_function_word, ["The", " the", "IT’S", "wouldn't", "whichever", "behind", "not"]))
    content = ["quick", "little", "three", "dog", "jumps", "same", "like", "past", "well", "", "own"]
    assert not any(map(is_function_word, content))
