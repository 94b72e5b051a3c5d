"""The question as a value: the post's text, the address, and the refusal of what no model is needed to refuse."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from core.experiment import (
    MAX_CHARACTERS,
    SEAM,
    Experiment,
    InputError,
    choose_word,
    from_query,
    occurrences,
    prompt_text,
    text_before_answer,
    to_query,
    words,
)


def refusal(**fields) -> InputError:
    with pytest.raises(InputError) as caught:
        prompt_text(Experiment(**fields))
    return caught.value


def test_the_default_prompt_is_the_posts():
    found = prompt_text(Experiment())
    assert found.text == (
        "Rephrase all the adjectives of the following sentence: The quick fox jumps over the dog.\n\n"
        "Rephrased sentence: The"
    )
    assert (found.original, found.answer) == (" quick", None)
    assert found.text[: found.original_end].endswith("sentence: The quick")


def test_candidates_get_the_space_the_original_has():
    for sentence, original, ending, candidate in (
        ("A big dog.", "big", "Rephrased sentence: A", " small"),
        ("Big dogs run.", "Big", "Rephrased sentence:", " small"),
        ("The “big” dog.", "big", "Rephrased sentence: The “", "small"),
        ("  The  big dog.  ", " big ", "Rephrased sentence: The", " small"),
        ("A dog,\nbig.", "big", "Rephrased sentence: A dog,", " small"),
    ):
        found = prompt_text(Experiment(sentence=sentence, original=original, answer=" small "))
        assert found.text.endswith("\n\n" + ending)
        assert found.answer == candidate and found.original == candidate.replace("small", original.strip())
        assert found.text[: found.original_end].endswith(original.strip())


@pytest.mark.parametrize("typed", ["Rephrase it", "Rephrase it:", " Rephrase it : "])
def test_a_colon_typed_behind_the_instruction_is_the_templates(typed):
    experiment = Experiment(instruction=typed)
    for found in (prompt_text(experiment), text_before_answer(experiment)):
        assert found.text.startswith("Rephrase it: The quick") and found.begun == len("Rephrase it: ") + 33 + len(SEAM)
    found = prompt_text(experiment)
    assert found.text[: found.original_end].endswith(": The quick")
    assert from_query(to_query(experiment))[0].instruction == typed


def test_other_colons_of_an_instruction_stay():
    assert prompt_text(Experiment(instruction="Task: rephrase::")).text.startswith("Task: rephrase:: The")
    assert refusal(instruction=" : ").field == "instruction"


def test_the_prompt_before_the_answer_ends_with_the_header_whatever_the_candidates_are():
    stale = Experiment(original="nowhere", answer="\x00", occurrence=7)
    assert text_before_answer(stale).text + " The" == prompt_text(Experiment()).text
    with pytest.raises(InputError) as caught:
        text_before_answer(Experiment(prompt="x"))
    assert caught.value.field == "prompt"


@pytest.mark.parametrize(
    "field, candidates",
    [
        ("original", {"original": "quick"}),
        ("original", {"original": "quick", "answer": " swift"}),
        ("original", {"original": "quick", "answer": "swift"}),
        ("answer", {"original": " quick", "answer": "swift"}),
        ("answer", {"original": "ly", "answer": "fox"}),
    ],
)
def test_a_bare_word_that_would_go_on_the_last_word_of_a_free_prompt_is_refused_with_the_way_out(field, candidates):
    error = refusal(prompt="The quick fox. The", **candidates)
    word = candidates[field]
    assert error.field == field and f"'The{word}'" in str(error) and f"begin it with a space: ' {word}'" in str(error)


@pytest.mark.parametrize(
    "candidates", [("ck", "et"), (" quick", " swift"), (".", "ly"), (" a", "."), ("狐", "狗"), ("2", "3")]
)
def test_pieces_signs_and_words_without_spaces_may_follow_a_free_prompts_last_letter(candidates):
    original, answer = candidates
    assert prompt_text(Experiment(prompt="The quick fox. The qui", original=original, answer=answer)).answer == answer


def test_a_free_prompt_and_its_candidates_are_taken_exactly():
    found = prompt_text(Experiment(prompt=" 1 + 1 = ", original="2 ", answer=" 2"))
    assert (found.text, found.original, found.answer, found.original_end) == (" 1 + 1 = ", "2 ", " 2", None)


def test_the_occurrence_decides_the_prefix():
    sentence = "The big dog saw the big cat near the big house."
    first, third = (prompt_text(Experiment(sentence=sentence, original="big", occurrence=n)) for n in (1, 3))
    assert first.text.endswith("sentence: The")
    assert third.text.endswith("sentence: The big dog saw the big cat near the")
    assert third.original_end > first.original_end


@pytest.mark.parametrize(
    "sentence, expected",
    [
        ("הַשּׁוּעָל הַמָּהִיר קוֹפֵץ.", ["הַשּׁוּעָל", "הַמָּהִיר", "קוֹפֵץ"]),
        ("तेज़ लोमड़ी कूदती है।", ["तेज़", "लोमड़ी", "कूदती", "है"]),
        ("The cafe\u0301 is big.", ["The", "cafe\u0301", "is", "big"]),
        ("It's a well-known snake_case.", ["It's", "a", "well-known", "snake", "case"]),
    ],
)
def test_a_words_marks_belong_to_it(sentence, expected):
    assert words(sentence) == expected
    assert all(occurrences(sentence, word) for word in expected)
    assert occurrences(sentence, "cafe") == []


def test_an_experiment_is_a_frozen_value():
    assert hash(Experiment()) == hash(Experiment()) and Experiment() == Experiment()
    assert len({Experiment(), Experiment(answer="fast"), Experiment(picked=0)}) == 3
    with pytest.raises(FrozenInstanceError):
        Experiment().answer = "fast"


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(),
        Experiment(sentence="", answer=" "),
        Experiment(template="chat"),
        Experiment(pair="", base="a/b", instruct="../c d", dtype="bfloat16"),
        Experiment(sentence="a & b = c? #1 +2 %20 \n\t", original="b", occurrence=2, colon=1, picked=0),
        Experiment(prompt="<img src=x onerror=alert(1)>", original=" 🦊", answer=" שועל"),
    ],
)
def test_the_address_spells_the_experiment(experiment):
    query = to_query(experiment)
    assert from_query(query) == (experiment, [])
    assert all(isinstance(value, str) for value in query.values())


def test_the_pair_and_what_differs_from_the_default_is_in_the_address():
    assert to_query(Experiment()) == {"pair": "tiny"}
    assert to_query(Experiment(answer="fast", picked=3)) == {"pair": "tiny", "answer": "fast", "picked": "3"}


def test_an_address_without_a_pair_means_the_embedded_one():
    assert from_query({"answer": "fast"}) == (Experiment(pair="tiny", answer="fast"), [])


@pytest.mark.parametrize("name", ["occurrence", "colon", "picked"])
@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "1" * 7, "<script>", "٣x"])
def test_an_unreadable_number_in_the_address_is_told_and_ignored(name, value):
    experiment, (complaint,) = from_query({name: value, "answer": "fast"})
    assert experiment == Experiment(answer="fast")
    assert complaint.startswith(f"{name}={value}") and "ignored" in complaint


@pytest.mark.parametrize("value", ["", "Chat", "alpaca", "<script>", "x" * 500])
def test_an_unknown_template_in_the_address_is_told_and_ignored(value):
    experiment, (complaint,) = from_query({"template": value, "answer": "fast"})
    assert experiment == Experiment(answer="fast") and len(complaint) < 120
    assert complaint.startswith(f"template={value[:29]}") and "neither raw nor chat" in complaint


def test_a_template_is_refused_where_it_is_unknown_or_the_prompt_free():
    error = refusal(template="alpaca")
    assert error.field == "template" and "'alpaca' is unknown; choose raw or chat" in str(error)
    error = refusal(prompt="x", original=" a", template="chat")
    assert error.field == "template" and "free prompt" in str(error) and "choose the template raw" in str(error)


@pytest.mark.parametrize("name", ["instruction", "sentence", "original"])
@pytest.mark.parametrize("value", ["", "  \n "])
def test_an_empty_input_is_named(name, value):
    error = refusal(**{name: value})
    assert error.field == name and str(error).startswith(f"the {name} is empty; ")


def test_an_empty_free_prompt_and_its_empty_original_are_named():
    assert refusal(prompt=" ", original="x").field == "prompt"
    assert refusal(prompt="x", original=" ").field == "original"


@pytest.mark.parametrize("name", ["instruction", "sentence", "prompt", "original", "answer"])
def test_ten_thousand_words_are_refused_by_their_length(name):
    error = refusal(**{name: "word " * 10_000})
    assert error.field == name and "50,000" in str(error) and f"{MAX_CHARACTERS:,}" in str(error)
    assert len(str(error)) < 200


def test_a_long_original_is_not_repeated_in_full():
    assert len(str(refusal(original="x" * 5_000))) < 200
    assert len(str(refusal(dtype="x" * 5_000))) < 200


@pytest.mark.parametrize("name", ["instruction", "sentence", "prompt", "original", "answer"])
@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x0b", "\ud800"])
def test_control_characters_and_lone_surrogates_are_named(name, character):
    error = refusal(**{name: f"a{character}b"})
    assert error.field == name and f"U+{ord(character):04X}" in str(error)


def test_an_absent_word_is_named_with_what_could_be_meant():
    error = refusal(original="Quick")
    assert error.field == "original" and "'Quick'" in str(error) and "write it as 'quick'" in str(error)
    error = refusal(original="slow")
    assert error.field == "original" and "'slow'" in str(error) and "The, quick, fox, jumps" in str(error)


def test_part_of_a_word_is_no_word_of_the_sentence():
    assert refusal(original="jump").field == "original"
    assert refusal(sentence="The quickest fox.", original="quick").field == "original"


def test_a_word_that_stands_twice_wants_its_occurrence():
    sentence = "The big dog saw the big cat."
    error = refusal(sentence=sentence, original="big")
    assert error.field == "original" and "2 times" in str(error)
    assert "1: “The big dog saw”" in str(error) and "2: “saw the big cat.”" in str(error)
    error = refusal(sentence=sentence, original="big", occurrence=3)
    assert error.field == "original" and "2 times" in str(error) and "3" in str(error)


def test_other_bad_values_are_named_with_their_field():
    for fields, name, value in (
        (dict(dtype="int8"), "dtype", "'int8'"),
        (dict(colon=-1), "colon", "-1"),
        (dict(occurrence=-1), "original", "-1"),
        (dict(answer="quick"), "answer", "'quick'"),
        (dict(answer=" QUICK "), "answer", "QUICK"),
        (dict(prompt="x", original=" a", answer=" a"), "answer", "' a'"),
        (dict(template="x" * 9), "template", "'xxxxxxxxx'"),
    ):
        error = refusal(**fields)
        assert error.field == name and value in str(error)


def test_in_a_free_prompt_casing_tells_two_candidates_apart():
    assert prompt_text(Experiment(prompt="x", original=" a", answer=" A")).answer == " A"
    assert prompt_text(Experiment(prompt="x =", original=" a", answer="a")).answer == "a"


@pytest.mark.parametrize(
    "sentence, original",
    [
        ("The 🦊 quick 🐶 jumps.", "quick"),
        ("השועל המהיר קופץ מעל הכלב.", "המהיר"),
        ("الثعلب السريع يقفز فوق الكلب", "السريع"),
        ("敏捷 的 狐狸", "的"),
        ("A <img src=x onerror=alert(1)> quick </script> fox", "quick"),
        ("{instruction} %s quick \\n $x$ **bold**", "quick"),
    ],
)
def test_any_text_stands_in_the_prompt_as_it_was_typed(sentence, original):
    found = prompt_text(Experiment(sentence=sentence, original=original))
    assert f": {sentence}\n\nRephrased" in found.text
    assert found.text[: found.original_end].endswith(original)


def test_words_are_found_without_their_punctuation():
    assert words("The well-known fox’s “den”, isn't it? Ünïcode 🦊 3 snake_case") == [
        "The", "well-known", "fox’s", "den", "isn't", "it", "Ünïcode", "3", "snake", "case",
    ]  # fmt: skip
    assert words(" …! 🦊 ") == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The big dog saw the big cat.",
        "don't say don, the well-known don is well known",
        "snake_case and snake and a snake",
        "“quick” (quick), quick's quick-quick",
        "השועל המהיר המהיר",
    ],
)
def test_every_word_of_a_sentence_can_be_chosen(sentence):
    ends = []
    for index, word in enumerate(words(sentence)):
        chosen = choose_word(sentence, index)
        assert chosen["original"] == word
        text = prompt_text(replace(Experiment(sentence=sentence), **chosen))
        assert text.text[: text.original_end].endswith(word)
        ends.append(text.original_end)
    assert ends == sorted(set(ends))


def test_occurrences_are_whole_words():
    assert occurrences("art start art", "art") == [0, 10]
    assert occurrences("c++ and c", "c++") == [0]
