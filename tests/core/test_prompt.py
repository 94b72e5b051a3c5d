"""Tokens in context, for a tokenizer of each kind: byte-level BPE, and SentencePiece with a prefix space."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import transformers

from core.experiment import Experiment, InputError
from core.prompt import check_same_tokens, role_names, tokenize, with_answer
from core.tokens import encode, leading_bos, pieces, token_strings
from core.wording import located, neighbours
from tests.random_tokenizers import KINDS

POST = Experiment(answer="swift")


@pytest.fixture(params=KINDS)
def tokenizer(request, tokenizer_of):
    return tokenizer_of(request.param)


@pytest.fixture
def byte_level(tokenizer_of):
    return tokenizer_of("byte_level")


@pytest.fixture
def prefix_space(tokenizer_of):
    return tokenizer_of("prefix_space")


def refusal(tokenizer, experiment=POST, **fields) -> InputError:
    with pytest.raises(InputError) as caught:
        tokenize(replace(experiment, **fields), tokenizer)
    return caught.value


def test_the_posts_prompt_has_its_roles(tokenizer):
    prompt = tokenize(POST, tokenizer)
    role = {name: prompt.tokens[i] for name, i in prompt.roles.items() if i is not None}
    assert role["bos"] == "<s>" and role["original"] == " quick" and role["end"] == " The"
    assert ":" in role["colon"] and "picked" not in role
    assert prompt.roles["bos"] == 0 and prompt.roles["end"] == prompt.end == len(prompt.ids) - 1
    assert prompt.roles["colon"] == prompt.colons[0] < prompt.roles["original"] < prompt.colons[1] < prompt.end
    assert len(prompt.colons) == 2
    for _ in range(2):
        assert token_strings([prompt.original_id, prompt.answer_id], tokenizer) == (" quick", " swift")
    assert "".join(prompt.tokens[1:]).lstrip(" ") == prompt.text


def test_a_sentence_without_a_word_is_refused_at_the_sentence(tokenizer):
    error = refusal(tokenizer, sentence="?!")
    assert error.field == "sentence" and "'?!' holds no word" in str(error)


def test_ids_are_those_of_the_text_in_one_piece(tokenizer):
    prompt = tokenize(POST, tokenizer)
    assert list(prompt.ids) == tokenizer(prompt.text)["input_ids"]
    assert [*prompt.ids, prompt.answer_id] == tokenizer(prompt.text + " swift")["input_ids"]


def test_a_candidate_is_one_token_in_context_where_it_is_two_alone(prefix_space):
    alone = prefix_space(" big", add_special_tokens=False)["input_ids"]
    assert len(alone) == 2
    prompt = tokenize(Experiment(sentence="A small dog.", original="small", answer="big"), prefix_space)
    assert prompt.answer_id == alone[1] and prompt.answer == " big"


@pytest.mark.parametrize(
    "text, candidate, was, becomes",
    [("The quick", "ly", "' quick'", "' quickly'"), ("The ", "quick", "' '", "' quick'")],
)
def test_a_candidate_that_merges_with_the_prompt_is_refused_with_both_readings(
    byte_level, text, candidate, was, becomes
):
    error = refusal(byte_level, prompt=text, original=candidate, answer="er")
    assert error.field == "original" and repr(candidate) in str(error)
    assert f"{was} becomes {becomes}" in str(error)
    error = refusal(byte_level, prompt=text, original=".", answer=candidate)
    assert error.field == "answer"


def test_merging_is_refused_with_a_prefix_space_too(prefix_space):
    error = refusal(prefix_space, prompt="The quick", original="ly", answer="er")
    assert error.field == "original" and "' quick' becomes ' quickly'" in str(error)


def test_a_candidate_of_several_tokens_is_refused_with_its_pieces(tokenizer):
    error = refusal(tokenizer, answer="swiftly")
    assert error.field == "answer"
    assert "' swiftly' is 2 tokens: ' swift', 'ly'" in str(error) and "its first piece ' swift'" in str(error)
    error = refusal(tokenizer, sentence="The swiftly dog.", original="swiftly", answer="big")
    assert error.field == "original" and "' swift', 'ly'" in str(error)


def test_parts_of_a_character_are_told_together_as_the_character(byte_level):
    error = str(refusal(byte_level, sentence="速い狐", original="速い狐", answer="big"))
    assert "'速' (3 tokens), 'い' (3 tokens)" in error and "\ufffd" not in error
    # What the text itself holds is no part of one.
    assert pieces(byte_level("x\ufffd y", add_special_tokens=False)["input_ids"], byte_level)[0] == ("x", 1)
    assert "can be the original" in error
    assert "is 4 tokens: ' ', '狐' (3 tokens); choose" in str(refusal(byte_level, answer="狐"))
    # Quotation marks stay around what runs from right to left.
    assert "the answer \u2068' של'\u2069 is " in str(refusal(byte_level, answer="של"))
    assert "'狐' is 3 tokens: parts of one character" in str(refusal(byte_level, prompt="a", original="狐", answer="b"))


def test_a_candidate_whose_space_is_a_token_is_refused_with_the_way_out(byte_level):
    assert "end the prompt with that space" in str(refusal(byte_level, prompt="2 + 2 =", original=" 5", answer="4"))
    assert tokenize(replace(POST, prompt="2 + 2 = ", original="5", answer="4"), byte_level).answer == "4"


def test_a_long_candidates_message_stays_short(tokenizer):
    assert len(str(refusal(tokenizer, answer="xyz" * 500))) < 300


def test_a_candidate_that_is_no_token_at_all_is_refused(byte_level):
    # Some tokenizers drop what they do not know; a normalizer that removes a sign stands for them.
    from tokenizers import normalizers

    deaf = copy.deepcopy(byte_level)
    deaf.backend_tokenizer.normalizer = normalizers.Replace("~", "")
    error = refusal(deaf, prompt="The", original=" quick", answer="~")
    assert error.field == "answer" and "'~' adds no token" in str(error)


def test_candidates_of_one_token_id_are_refused(tokenizer):
    # Two strings, one id: the tokenizer lowercases.
    from tokenizers import normalizers

    lower = copy.deepcopy(tokenizer)
    own = lower.backend_tokenizer.normalizer
    lower.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *([own] if own else [])])
    error = refusal(lower, prompt="a", original=" dog", answer=" DOG")
    assert error.field == "answer" and "' DOG' and ' dog' are the same token" in str(error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["The", "<s>The", "<s>The quick fox: The"])
def test_bos_stands_once_whoever_writes_it(tokenizer_of, kind, text):
    tokenizer = tokenizer_of(kind)
    assert tokenizer("The")["input_ids"][0] == tokenizer.bos_token_id
    prompt = tokenize(Experiment(prompt=text, original=" quick", answer=" swift"), tokenizer)
    assert prompt.ids.count(tokenizer.bos_token_id) == 1 and prompt.ids[0] == tokenizer.bos_token_id
    assert prompt.roles["bos"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_no_bos_is_put_where_the_tokenizer_puts_none(tokenizer_of, kind):
    silent = tokenizer_of(kind, False)
    assert silent.bos_token_id is not None and leading_bos(silent) is None
    prompt = tokenize(POST, silent)
    assert prompt.ids == tokenize(POST, tokenizer_of(kind)).ids[1:]
    assert prompt.roles["bos"] is None
    assert prompt.roles["first"] == tokenize(POST, tokenizer_of(kind)).roles["first"] == 0
    typed = tokenize(Experiment(prompt="<s>The", original=" quick"), silent)
    assert typed.roles["bos"] == 0 and typed.ids.count(silent.bos_token_id) == 1


def test_a_tokenizer_without_bos_has_no_such_role(byte_level):
    nameless = copy.deepcopy(byte_level)
    nameless.bos_token = None
    nameless.backend_tokenizer.post_processor = None
    assert tokenize(POST, nameless).roles["bos"] is None


def test_a_special_tokens_name_in_a_sentence_is_text(tokenizer):
    special = set(tokenizer.all_special_ids)
    prompt = tokenize(Experiment(sentence="The <s> quick </s> fox", answer="swift"), tokenizer)
    assert special.isdisjoint(prompt.ids[1:])
    assert "The <s> quick </s> fox" in "".join(prompt.tokens[1:])
    assert prompt.tokens[prompt.roles["original"]] == " quick"


def test_a_special_tokens_name_in_a_free_prompt_is_the_token(tokenizer):
    prompt = tokenize(Experiment(prompt="The quick</s> The", original=" quick"), tokenizer)
    assert tokenizer.eos_token_id in prompt.ids and "</s>" in prompt.tokens


def test_the_second_colon_can_be_chosen_and_a_third_cannot(tokenizer):
    first, second = (tokenize(replace(POST, colon=n), tokenizer) for n in (0, 1))
    assert first.roles["colon"] == first.colons[0] and second.roles["colon"] == first.colons[1]
    error = refusal(tokenizer, colon=2)
    assert error.field == "colon" and "2 tokens with “:”" in str(error) and "0 to 1" in str(error)


def test_a_colon_in_the_sentence_counts_in_its_place(tokenizer):
    prompt = tokenize(Experiment(sentence="The quick fox: a dog", answer="swift"), tokenizer)
    assert len(prompt.colons) == 3 and prompt.colons == tuple(sorted(prompt.colons))


def test_any_position_of_the_prompt_can_be_picked_and_no_other(tokenizer):
    end = tokenize(POST, tokenizer).end
    for position in (0, 5, end):
        assert tokenize(replace(POST, picked=position), tokenizer).roles["picked"] == position
    error = refusal(tokenizer, picked=end + 1)
    assert error.field == "picked" and f"position {end + 1}" in str(error) and f"0 to {end}" in str(error)


def test_the_original_role_is_the_last_token_of_the_chosen_occurrence(tokenizer):
    sentence = "The quick dog and the quick fox"
    first, second = (
        tokenize(Experiment(sentence=sentence, original="quick", occurrence=n, answer="swift"), tokenizer)
        for n in (1, 2)
    )
    at = [i for i, token in enumerate(second.tokens) if token == " quick"]
    assert first.roles["original"] == at[0] and second.roles["original"] == at[1]


def test_the_original_role_may_be_a_token_that_reaches_past_the_word(byte_level, prefix_space):
    for tokenizer, token in ((byte_level, " dog"), (prefix_space, " dog.\n\n")):
        prompt = tokenize(Experiment(original="dog", answer="fox"), tokenizer)
        assert prompt.tokens[prompt.roles["original"]] == token


def test_in_a_free_prompt_original_is_the_last_of_its_id_and_missing_roles_are_none(tokenizer):
    prompt = tokenize(Experiment(prompt="A dog and a dog and", original=" dog", answer=" fox"), tokenizer)
    assert prompt.tokens[prompt.roles["original"] :] == (" dog", " and")
    assert prompt.roles["colon"] is None and prompt.colons == ()
    absent = tokenize(Experiment(prompt="A dog and a", original=" fox", answer=" cat"), tokenizer)
    assert absent.roles["original"] is None


def test_an_open_answer_stays_open_until_it_is_set(tokenizer):
    prompt = tokenize(Experiment(), tokenizer)
    assert (prompt.answer, prompt.answer_id) == (None, None)
    fox = tokenize(POST, tokenizer).answer_id
    assert with_answer(prompt, fox, tokenizer) == tokenize(POST, tokenizer)


@pytest.mark.parametrize(
    "sentence",
    ["The 🦊 quick 🐶", "השועל quick המהיר", "Ünïcödé quick 狐", "<img src=x onerror=alert(1)> quick </script>"],
)
def test_any_text_is_read_and_its_original_found(tokenizer, sentence):
    prompt = tokenize(Experiment(sentence=sentence, answer="swift"), tokenizer)
    assert prompt.tokens[prompt.roles["original"]] == " quick"
    decoded = tokenizer.decode(prompt.ids[1:], clean_up_tokenization_spaces=False)
    assert decoded.lstrip(" ") == prompt.text


def test_a_prompt_of_too_many_tokens_is_refused_at_its_input(tokenizer):
    error = refusal(tokenizer, sentence="The quick fox " + "a " * 9_000)
    assert error.field == "sentence" and "at most 512" in str(error) and len(str(error)) < 200
    error = refusal(tokenizer, instruction="a " * 600)
    assert error.field == "instruction" and "shorten the instruction" in str(error)
    error = refusal(tokenizer, prompt="a " * 600, original=" dog")
    assert error.field == "prompt" and "shorten the prompt" in str(error)
    with pytest.raises(InputError, match="at most 10 "):
        tokenize(POST, tokenizer, max_tokens=10)


def test_token_strings_keep_the_space_before_a_word(tokenizer):
    ids, offsets = encode("The dog. A dog", tokenizer, literal=True)
    strings = token_strings(ids, tokenizer)
    assert strings[0] == "<s>" and offsets[0] == (0, 0)
    assert [s for s in strings if "dog" in s][-1] == " dog"
    assert "".join(strings[1:]).lstrip(" ") == "The dog. A dog"


def test_a_position_is_shown_with_its_neighbours(byte_level):
    prompt = tokenize(POST, byte_level)
    assert neighbours(prompt.tokens, prompt.roles["colon"]) == " following sentence[:] The quick"
    assert neighbours(prompt.tokens, prompt.end) == " sentence:[ The]"
    assert located(prompt.tokens, 0) == f"token 1 of {len(prompt.tokens)}, “[<s>]Rephrase all”"
    assert neighbours(prompt.tokens, 0) == "[<s>]Rephrase all"
    newline = next(i for i, token in enumerate(prompt.tokens) if "\n" in token)
    assert "⏎⏎" in neighbours(prompt.tokens, newline) and "\n" not in neighbours(prompt.tokens, newline)


def test_the_first_position_is_named_once(tokenizer_of):
    for adds_bos, names in ((True, ["bos"]), (False, ["first", "picked"])):
        prompt = tokenize(replace(POST, picked=None if adds_bos else 0), tokenizer_of("byte_level", adds_bos))
        assert role_names(prompt.roles, 0) == names and role_names(prompt.roles, prompt.end) == ["end"]
        assert role_names(prompt.roles, 2) == []


def test_a_slow_tokenizer_is_refused(byte_level):
    class Slow(transformers.PreTrainedTokenizerFast):
        is_fast = False

    slow = Slow(tokenizer_object=byte_level.backend_tokenizer, bos_token="<s>")
    assert refusal(slow).field == "pair"


def test_models_that_read_the_prompt_alike_are_compared(tokenizer):
    prompt = tokenize(POST, tokenizer)
    check_same_tokens(prompt, tokenize(POST, copy.deepcopy(tokenizer)))
    check_same_tokens(tokenize(Experiment(), tokenizer), tokenize(Experiment(), tokenizer))


def test_models_that_read_the_prompt_differently_are_refused_at_the_first_difference(byte_level, prefix_space):
    base, instruct = tokenize(POST, byte_level), tokenize(POST, prefix_space)
    with pytest.raises(InputError) as caught:
        check_same_tokens(base, instruct)
    assert caught.value.field == "pair" and "first at token 2: 'Rephrase' (id " in str(caught.value)
    assert "in BASE" in str(caught.value) and "' Rephrase' (id " in str(caught.value)
    shorter = replace(base, ids=base.ids[:-1], tokens=base.tokens[:-1])
    with pytest.raises(InputError, match=f"token {base.end + 1}: ' The' .* in BASE, nothing in INSTRUCT"):
        check_same_tokens(base, shorter)


@pytest.mark.parametrize("name", ["original", "answer"])
def test_models_with_other_ids_for_a_candidate_are_refused(byte_level, name):
    prompt = tokenize(POST, byte_level)
    own = getattr(prompt, f"{name}_id")
    with pytest.raises(InputError, match=f"the {name} '.*' is token {own} in BASE and {own + 1} in INSTRUCT"):
        check_same_tokens(prompt, replace(prompt, **{f"{name}_id": own + 1}))
