"""The word that INSTRUCT would change: found by laying its rewriting beside the sentence."""

from __future__ import annotations

import pytest

from core.rewriting import changes, choose_original


def chosen(sentence: str, written: str, single=lambda word: True, finished: bool = True) -> tuple[str, str, str]:
    """The word, its replacement and the reason; single: which words and replacements are one token."""
    text = sentence.replace(",", "").replace(".", "").replace("?", "").split()
    fits = lambda index, replacement: single(text[index]) and single(replacement)  # noqa: E731
    found = choose_original(sentence, written, fits, finished)
    assert found.written == written and [sentence[a:b] for a, b in found.spans] == list(found.words) == text
    return found.words[found.chosen], found.replacement, found.reason


def test_the_word_with_another_one_in_its_place_is_chosen():
    assert chosen("The quick fox jumps.", "The swift fox jumps.") == ("quick", "swift", "replaced")
    assert chosen("The dog is lazy.", "The dog is idle.") == ("lazy", "idle", "replaced")
    assert chosen("Is it so cold here?", "Is it so chilly here?") == ("cold", "chilly", "replaced")


def test_of_several_changed_words_the_first_one_is_chosen_that_is_one_token_on_both_sides():
    sentence, written = "A tiny old red car.", "A minuscule ancient crimson car."
    assert chosen(sentence, written) == ("tiny", "minuscule", "replaced")
    assert chosen(sentence, written, lambda word: word != "minuscule") == ("old", "ancient", "replaced")
    assert chosen(sentence, written, lambda word: word != "tiny") == ("old", "ancient", "replaced")


def test_a_changed_word_whose_replacements_are_pieces_goes_before_an_unchanged_one():
    pieces = lambda word: word in ("", "fox", "quick")  # noqa: E731
    assert chosen("The fox is quick.", "The fox is swiftest.", pieces) == ("quick", "swiftest", "replaced")


def test_a_word_replaced_one_by_one_goes_before_what_stands_within_a_longer_span():
    found = chosen("The quick fox saw an old man.", "The very swift brown fox saw an ancient man.")
    assert found == ("old", "ancient", "replaced")


def test_within_a_span_content_words_stand_for_content_words():
    assert chosen("He felt very tired.", "He felt exhausted.") == ("tired", "exhausted", "replaced")
    assert chosen("It was a big one.", "It was an enormous one.") == ("big", "enormous", "replaced")


def test_a_function_word_that_follows_what_is_changed_is_not_chosen():
    assert [change.word for change in changes("An old car and a big boat.", "A new car and an awful boat.")] == [1, 5]
    assert chosen("She saw the dog.", "She saw a dog.") == ("saw", "", "first")


def test_a_word_in_another_case_is_not_changed():
    assert changes("The quick Fox.", "the quick fox") == []


def test_a_deleted_word_is_chosen_where_nothing_is_replaced():
    assert chosen("The quick fox jumps.", "The fox jumps.") == ("quick", "", "deleted")
    assert chosen("The fox is quick.", "The fox is.") == ("quick", "", "deleted")
    assert chosen("The old fox and the quick dog.", "The fox and the rapid dog.") == ("quick", "rapid", "replaced")


def test_where_nothing_is_changed_or_written_the_first_content_word_is_chosen():
    for written in ("The quick fox jumps.", ""):
        # Nothing written deletes nothing.
        assert chosen("The quick fox jumps.", written, finished=bool(written)) == ("quick", "", "first")
    assert chosen("The quick fox.", "The quick fox.", lambda word: word != "quick") == ("fox", "", "first")


def test_what_a_rewriting_was_cut_off_before_is_not_deleted():
    assert chosen("The fox saw a dog and a quick cat.", "The fox saw a", finished=False) == ("fox", "", "first")


def test_where_no_word_is_one_token_none_is_chosen():
    assert choose_original("Quixotic zebras.", "Odd zebras.", lambda index, replacement: False) is None
    assert choose_original("…", "…", lambda index, replacement: True) is None


@pytest.mark.parametrize("written", ["", "?", "word " * 300, "quick " * 50, "🦊", "The\x00fox"])
def test_whatever_is_written_a_word_of_the_sentence_is_chosen(written):
    found = choose_original("The quick fox jumps over the quick dog.", written, lambda index, replacement: True)
    assert 0 <= found.chosen < len(found.words)


def test_a_long_text_is_looked_at_no_further_than_a_word_can_be_chosen():
    asked = []
    fits = lambda index, replacement: asked.append(index) and False  # noqa: E731
    assert choose_original("word " * 5000, "other " * 5000, fits) is None and len(asked) < 500
