"""A line that is drafted from the prompt is the text that is written token by token, in every family of models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.experiment import DEFAULT_SENTENCE, Experiment, InputError
from core.generation import continuation, line, rewrite
from core.models.loading import load_pair
from core.models.pairs import registry
from tests.random_models import CASE_NAMES, CASES


@pytest.fixture(scope="module")
def tiny():
    return load_pair(registry()["tiny"], "float32", "cpu")


@pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
def test_a_drafted_line_is_what_is_written_token_by_token(pair_of, family, groups):
    pair = pair_of(family, groups)
    for bridge in pair.bridges:
        *_, written = continuation(bridge, pair.prompt, 12)
        assert line(bridge, pair.prompt.ids, (), 12)[0] == written.lstrip().split("\n")[0].rstrip()


def test_a_line_ends_with_the_models_own_end_or_is_said_to_be_cut_off(tiny):
    opening = replace(Experiment(), instruction="Repeat the following sentence")
    ids = tiny.instruct.tokenizer(f"{opening.instruction}: {opening.sentence}\n\nRephrased sentence:").input_ids
    assert line(tiny.instruct, ids, (), 24) == (opening.sentence, True)
    cut, finished = line(tiny.instruct, ids, (), 4)
    assert opening.sentence.startswith(cut) and not finished
    assert line(tiny.instruct, ids, (), 0) == ("", False)


def test_a_penalty_of_the_models_own_settings_changes_no_token(tiny, monkeypatch):
    monkeypatch.setattr(tiny.instruct.original_model.generation_config, "repetition_penalty", 9.0)
    assert rewrite(replace(Experiment(), instruction="Repeat the following sentence"), tiny).written == DEFAULT_SENTENCE


def test_a_line_is_given_up_between_two_passes(tiny):
    class Unwanted(BaseException):
        pass

    def stop() -> None:
        raise Unwanted

    with pytest.raises(Unwanted):
        line(tiny.instruct, (5, 6, 7), (), 24, stop)
    # The layers multiply as they did before.
    assert not any("forward" in vars(module) for module in tiny.instruct.modules())


@pytest.mark.parametrize(
    "instruction, found",
    [
        ("Rephrase all the adjectives of the following sentence", ("quick", "swift", "replaced")),
        ("Rephrase all the adjectives of the following sentence:", ("quick", "swift", "replaced")),
        ("Replace all the adjectives of the following sentence with their opposites", ("quick", "slow", "replaced")),
        ("Remove all the adjectives of the following sentence", ("quick", "", "deleted")),
        ("Repeat the following sentence", ("quick", "", "first")),
    ],
)
def test_each_instruction_has_its_word(tiny, instruction, found):
    stale = Experiment(instruction=instruction, original="nowhere", answer="nowhere", occurrence=3, colon=5, picked=99)
    first = []
    rewritten = rewrite(stale, tiny, publish=first.append)
    assert (rewritten.words[rewritten.chosen], rewritten.replacement, rewritten.reason) == found
    assert [(r.words[r.chosen], r.written, r.reason) for r in first] == [("quick", "", "first")]


@pytest.mark.parametrize(
    "field, fields",
    [
        ("sentence", {"sentence": " "}),
        ("sentence", {"sentence": "… !"}),
        ("sentence", {"sentence": "The quick fox. " * 300}),
        ("instruction", {"instruction": ""}),
        ("original", {"sentence": "Quetzalcoatlus xylophonists."}),
        ("template", {"template": "chat"}),
        ("prompt", {"prompt": "Any text"}),
    ],
)
def test_a_sentence_of_which_no_word_can_be_chosen_is_refused_as_its_words_are(tiny, field, fields):
    with pytest.raises(InputError) as refused:
        rewrite(replace(Experiment(), **fields), tiny)
    assert refused.value.field == field
