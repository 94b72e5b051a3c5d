"""RECOGNIZE: other instructions, counter-instructions of equal length, and patches between two prompts of one model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.experiment import Experiment, InputError
from core.logit_difference import summarize
from core.models.loading import load_pair
from core.models.pairs import registry
from core.recognize.heads import countered, cross_prompt, head_numbers, heads_of, run_heads
from core.recognize.instructions import instructions_of, run_instructions, variants
from core.recognize.results import KINDS, NONE, OWN, SCRAMBLED, TASKS
from core.recognize.wordings import as_long, counter_wordings, differs_inside, instructed, scrambled
from core.runs import read_prompt, record_both, run
from core.sets.kept import InMemory
from core.sets.reading import as_text, read_file, read_set, shipped_file
from core.sets.usable import usable

OF = Experiment()
MEAN = replace(OF, answer="swift")


@pytest.fixture(scope="module")
def pair():
    return load_pair(registry()["tiny"])


@pytest.fixture(scope="module")
def used(pair):
    found = usable(read_file(shipped_file("tiny")), pair, OF)
    return found.used[::60]


def test_no_instruction_is_the_same_text_from_the_sentence_on(pair):
    own = read_prompt(MEAN, pair)
    none = read_prompt(instructed(MEAN, NONE), pair)
    assert own.text.endswith(none.text) and none.text.startswith(MEAN.sentence)
    assert (none.answer_id, none.original_id) == (own.answer_id, own.original_id)
    with pytest.raises(InputError, match="chat template"):
        instructed(replace(MEAN, template="chat"), NONE)


def test_scrambled_has_the_same_words_in_another_order_each_time():
    mixed = scrambled(OF.instruction)
    assert sorted(mixed.split()) == sorted(OF.instruction.split()) and mixed != OF.instruction
    assert mixed == scrambled(OF.instruction)
    with pytest.raises(InputError, match="no two words"):
        scrambled("Rephrase")


def test_a_counter_prompt_is_as_long_and_differs_inside_the_instruction_alone(pair, used):
    for task in TASKS:
        found = countered(used, pair, OF, task)
        assert found.used, found.without
        for row, prompt in zip(found.used, found.prompts):
            differing = [n for n, (a, b) in enumerate(zip(row.prompt.ids, prompt.ids)) if a != b]
            assert len(prompt.ids) == len(row.prompt.ids) and differing
            inside = len(row.entry.instruction) + len(row.prompt.tokens[0])
            assert len("".join(row.prompt.tokens[: max(differing) + 1])) <= inside


def test_no_wording_stands_twice_and_what_forbids_is_led_in_by_nothing():
    for task in TASKS:
        wordings = counter_wordings(task)
        assert len(set(wordings)) == len(wordings) and not any(" do not " in wording for wording in wordings)


def test_where_no_wording_is_as_long_the_reason_says_how_long_they_are(pair):
    with pytest.raises(InputError, match=r"has the 1 tokens of “Rephrase”; the known ones have 5, 6"):
        as_long("Rephrase", "remove", pair)


def test_every_shipped_instruction_has_a_counter_of_its_length_and_of_several_the_one_most_alike(pair):
    rows = usable(read_file(shipped_file("tiny")), pair, OF).used
    one_each = list({row.entry.instruction: row for row in rows}.values())
    for task in TASKS:
        assert not countered(one_each, pair, OF, task).without
    assert as_long(OF.instruction, "remove", pair)[0] == "Remove all the adjectives of the following sentence"
    # No plain wording of "remove" is this long: words that ask for nothing lead one in.
    long = "Change all the adjectives in the following sentence to similar words"
    assert as_long(long, "remove", pair)[0] == "Now strip the following sentence of its adjectives"


def test_numbers_against_one_wording_are_not_taken_for_those_against_another(pair, used):
    found = countered(used[:1], pair, OF, "repeat")
    again = replace(found, prompts=(countered(used[:1], pair, OF, "opposite").prompts[0],))
    assert found.keys != again.keys


def test_two_prompts_that_differ_behind_the_instruction_are_no_pair(pair):
    own, other = read_prompt(MEAN, pair), read_prompt(replace(MEAN, sentence="The quick cat jumps over the dog."), pair)
    assert len(own.ids) == len(other.ids)
    assert not differs_inside(own, other, MEAN.instruction) and differs_inside(own, own, MEAN.instruction)


def test_patching_everything_of_the_own_run_is_the_own_run_and_an_equal_prompt_moves_nothing(pair, used):
    found = countered(used[:1], pair, OF, "repeat")
    own, other = found.used[0].prompt, found.prompts[0]
    for recipient, donor in zip(record_both(other, pair), record_both(own, pair)):
        whole = cross_prompt((recipient, donor), own, site="resid_pre")
        assert abs(whole.gap.donor - whole.gap.recipient) > 1e-3
        np.testing.assert_allclose(whole.logit_diff[0, 0], whole.gap.donor, atol=2e-5)
    plain = [summarize(record_both(prompt, pair), prompt).logit_diff for prompt in (own, other)]
    np.testing.assert_allclose(head_numbers(own, other, pair)["cross gap"], plain[0] - plain[1], atol=1e-5)
    same = head_numbers(own, own, pair)
    assert np.abs(same["cross effect"]).max() < 2e-5 and np.abs(same["cross gap"]).max() == 0


def test_each_kind_has_the_logit_difference_of_its_own_prompt(pair, used):
    kept = InMemory()
    every = variants(used, pair, OF)
    run_instructions(every, pair, kept)
    found = instructions_of(every, (), kept)
    assert set(found.logit_diff) == set(KINDS) and not found.left_out and found.ran == len(used)
    alone = []
    for row in used:
        experiment = row.entry.experiment(OF, row.prompt.answer.strip())
        alone.append(run(replace(experiment, instruction=found.wordings["repeat"]), pair))
    expected = np.mean([summarize(each.recordings, each.prompt).logit_diff for each in alone], 0)
    np.testing.assert_allclose(found.logit_diff["repeat"].mean[:2], expected, atol=1e-5)
    own, other, contrast = found.logit_diff[OWN], found.logit_diff[SCRAMBLED], found.contrast[SCRAMBLED]
    np.testing.assert_allclose(contrast.mean, own.mean - other.mean, atol=1e-5)
    assert contrast.mean[2] == pytest.approx(contrast.mean[1] - contrast.mean[0], abs=1e-5)


def test_what_has_run_is_not_run_again_and_a_row_without_a_counter_is_named(pair, used):
    row = {"instruction": "Rephrase", "sentence": "The quick fox runs.", "original": "quick", "answers": "swift"}
    short = read_set(as_text([row]).encode())
    found = countered([*used[:2], *usable(short, pair, OF).used], pair, OF, "repeat")
    assert list(found.without) == ["Rephrase"] and len(found.used) == 2
    kept, told = InMemory(), []

    class Broken(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise Broken

    with pytest.raises(Broken):
        run_heads(found, pair, kept, stop)
    half = heads_of(found, (), pair, kept)
    run_heads(found, pair, kept, lambda done, total: told.append(done))
    whole = heads_of(found, (), pair, kept)
    assert (half.ran, whole.ran, told) == (1, 2, [1, 2])
    assert whole.effect.mean.shape[0] == 2 and np.isfinite(whole.to_frame()["mean"]).all()
    assert heads_of(found, (), pair, InMemory()).ran == 0
