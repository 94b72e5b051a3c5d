"""What is said beside an input that is not refused: an answer that is no replacement, words that a toy has not read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.cautions import cautions
from core.experiment import Experiment
from core.models.pairs import REAL
from core.prompt import AnsweredPrompt
from core.tiny.heldout import read_prompts

POST = Experiment(pair=REAL)


def prompt(original: str = " quick", answer: str = " swift", place: int | None = 3) -> AnsweredPrompt:
    return AnsweredPrompt(
        text="", ids=(1, 2), tokens=("a", "b"), roles={"original": place}, colons=(), original=original, original_id=1,
        answer=answer, answer_id=2,
    )  # fmt: skip


def said(experiment: Experiment, *about) -> list[tuple[str, str]]:
    return [(caution.field, caution.message) for caution in cautions(experiment, *about)]


def test_nothing_is_said_of_the_posts_prompt_in_any_pair():
    for pair in (REAL, "tiny", "llama-3.1-8b", ""):
        for known in ((), (prompt(),), (prompt(), " swift fox jumps over the dog.")):
            assert said(replace(POST, pair=pair), *known) == []


@pytest.mark.parametrize("answer", [" dog", " DOG", " jumps"])
def test_an_answer_that_stands_in_the_sentence_is_named(answer):
    ((field, message),) = said(POST, prompt(answer=answer))
    assert field == "answer" and f"“{answer.strip()}” stands in the sentence already" in message
    assert said(replace(POST, prompt="The dog is quick. The dog is"), prompt(answer=answer)) == []


def test_function_words_are_named_whichever_of_the_two_they_are():
    ((field, message),) = said(POST, prompt(answer=" whose"))
    assert field == "answer" and message.startswith("“whose” is a function word")
    fields = [field for field, _ in said(replace(POST, original="The"), prompt(original=" The", answer=" A"))]
    assert fields == ["original", "answer"]
    # Before the prompt is tokenized, of what was typed.
    assert [field for field, _ in said(replace(POST, original="over"))] == ["original"]


@pytest.mark.parametrize(
    "answer, written, part",
    [
        (" sw", " swiftest fox", "“sw” is the beginning of a word: INSTRUCT goes on to “swiftest”"),
        (" qu", "", "“qu” is how “quick” begins: it may be the same word again"),
        (" qu", " qu fox", None),
        (" light", " light-footed fox", None),
        (" swift", " swift fox", None),
        (" swift", " swift", None),
        (" swift", " nimble fox", None),
        ("ly", "", "“ly” begins without the space before “quick”"),
        (" --", "", "“--” is no word, as “quick” is"),
        (" 7", "", "“7” is no word, as “quick” is"),
        (" well-known", "", None),
    ],
)
def test_an_answer_that_is_a_piece_of_a_word_is_named(answer, written, part):
    found = said(POST, prompt(answer=answer), written)
    assert [field for field, _ in found] == (["answer"] if part else [])
    assert not part or part in found[0][1] and found[0][1].endswith("; choose another answer")


def test_an_answer_is_measured_by_its_original():
    # Behind a quotation mark neither has a space; and a sign may replace a sign.
    assert said(POST, prompt(original="quick", answer="swift")) == []
    assert said(replace(POST, prompt="1 + 1"), prompt(original=" =", answer=" +")) == []
    assert said(replace(POST, prompt="1 + 1 ="), prompt(original=" 2", answer=" 3")) == []


def test_a_free_prompts_original_that_stands_nowhere_is_named():
    free = replace(POST, prompt="Birds sing. Birds")
    ((field, message),) = said(free, prompt(place=None))
    assert field == "original" and "“␣quick” stands nowhere in the prompt" in message
    assert said(free, prompt()) == []


def test_words_that_the_toy_pair_has_not_read_are_named_beside_their_input():
    toy = replace(POST, pair="tiny", sentence="My grandmother tells wonderful stories.")
    ((field, message),) = said(toy)
    assert field == "sentence" and "toy" in message and "“grandmother”, “tells”, “wonderful”;" in message
    assert (
        "never read “Translate”, “French”;" in said(replace(POST, pair="tiny", instruction="Translate to French"))[0][1]
    )
    ((field, message),) = said(replace(toy, prompt="Xi Xu Xa Xo Xe Xy Xq the fox"))
    assert field == "prompt" and message.count("“") == 5 and "and 2 more" in message
    assert said(replace(toy, pair=REAL)) == []


def test_of_its_own_text_the_toy_pair_knows_every_word():
    prompts = [held_out for held_out in read_prompts() if held_out.kind != "unknown_noun"]
    assert len(prompts) > 500
    for held_out in prompts:
        toy = Experiment(pair="tiny", instruction=held_out.instruction, sentence=held_out.sentence)
        assert said(toy) == []
