"""The shipped pair: its measured figures, its files, and the text that it was trained on."""

import os
import re
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors import safe_open
from transformers import AutoTokenizer, LlamaForCausalLM

from core.tiny.card import CARD, FOLDER, read_stated, sha256
from core.tiny.documents import base_documents, copy_lists, tuning_documents
from core.tiny.evaluate import THRESHOLDS, measure, missed
from core.tiny.heldout import COUNTS, POST_PROMPT, make_prompts, read_prompts
from core.tiny.instructions import unseen_wordings
from core.tiny.sentences import held_out_combinations, held_out_in, held_out_pairs, make_policies
from core.tiny.words import adjective_group, content_words, groups, nouns, verbs

MODELS = ("base", "instruct")
MOST_BYTES = 8_000_000


def _load(name: str) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(FOLDER / name, dtype=torch.float32, attn_implementation="eager").eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER / "base")


@pytest.fixture(scope="module")
def pair():
    return _load("base"), _load("instruct")


@pytest.fixture(scope="module")
def figures(pair, tokenizer):
    return measure(*pair, tokenizer, read_prompts())


@pytest.fixture(scope="module")
def policies():
    return make_policies()


@pytest.fixture(scope="module")
def training_text(policies):
    documents = base_documents(Random(5), policies, 4000) + tuning_documents(Random(6), policies, 3000, 500)
    return [document.context + document.text for document in documents + copy_lists(Random(7), 500)]


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda threshold: threshold.figure)
def test_shipped_weights_reach_the_threshold(figures, threshold):
    value = figures[threshold.figure]
    assert value >= threshold.bound if threshold.at_least else value <= threshold.bound


def test_missed_names_the_figures_that_fall_short():
    reached = {threshold.figure: threshold.bound for threshold in THRESHOLDS}
    assert missed(reached) == []
    short = {**reached, "instruct repeat copy": 0.5, "base post logit_diff": 0.0}
    assert [line.split(" is ")[0] for line in missed(short)] == ["base post logit_diff", "instruct repeat copy"]


def test_card_states_what_is_measured(figures):
    stated = read_stated()["figures"]
    assert stated.keys() == figures.keys()
    # Rates may move by one prompt where two words are level on another processor.
    assert stated == pytest.approx(figures, abs=0.02)


def test_card_states_the_hash_of_the_weights():
    assert read_stated()["sha256"] == {name: sha256(FOLDER / name / "model.safetensors") for name in MODELS}
    assert all(digest in CARD.read_text(encoding="utf-8") for digest in read_stated()["sha256"].values())


def test_pair_is_small_enough_for_the_repository():
    files = [path for name in MODELS for path in (FOLDER / name).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES


def test_only_queries_keys_and_values_differ_between_the_models():
    with (
        safe_open(FOLDER / "base/model.safetensors", "pt") as base,
        safe_open(FOLDER / "instruct/model.safetensors", "pt") as instruct,
    ):
        differing = {name for name in base.keys() if not torch.equal(base.get_tensor(name), instruct.get_tensor(name))}
    assert {name.split(".")[-2] for name in differing} == {"q_proj", "k_proj", "v_proj"}


def test_loading_without_a_dtype_runs_in_float32():
    assert LlamaForCausalLM.from_pretrained(FOLDER / "instruct").dtype == torch.float32


def test_both_models_have_the_same_tokenizer():
    assert (FOLDER / "base/tokenizer.json").read_bytes() == (FOLDER / "instruct/tokenizer.json").read_bytes()


def test_every_content_word_with_its_space_is_one_token(tokenizer):
    pieces = {word: tokenizer(" " + word, add_special_tokens=False).input_ids for word in content_words()}
    assert [word for word, ids in pieces.items() if len(ids) != 1] == []


def test_bos_is_added_once(tokenizer):
    ids = tokenizer(POST_PROMPT.text).input_ids
    assert tokenizer.is_fast
    assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.bos_token_id not in tokenizer(POST_PROMPT.text, add_special_tokens=False).input_ids


@pytest.mark.parametrize(
    "text",
    [POST_PROMPT.text, " Quick zebras don't\tjump 1234 times!\n\n", "Émile est à 日本 🦊.", "two  spaces <|x|>"],
)
def test_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_transformer_lens_gives_the_same_logits(pair, tokenizer):
    from transformer_lens.model_bridge import TransformerBridge

    ids = tokenizer(POST_PROMPT.text, return_tensors="pt").input_ids
    with torch.no_grad():
        expected = pair[1](ids).logits
        bridge = TransformerBridge.boot_transformers(str(FOLDER / "instruct"), device="cpu", dtype=torch.float32)
        torch.testing.assert_close(bridge(ids), expected, atol=1e-4, rtol=1e-4)
    assert bridge.to_tokens(POST_PROMPT.text).tolist() == ids.tolist()


def test_text_is_the_same_for_the_same_seed(policies):
    first = base_documents(Random(1), policies, 200) + tuning_documents(Random(1), policies, 200, 20)
    again = base_documents(Random(1), make_policies(), 200) + tuning_documents(Random(1), make_policies(), 200, 20)
    assert first == again
    assert first != base_documents(Random(2), policies, 200) + tuning_documents(Random(2), policies, 200, 20)


def test_held_out_file_is_what_its_maker_makes(policies):
    prompts = read_prompts()
    assert prompts == make_prompts(policies)
    assert {kind: sum(prompt.kind == kind for prompt in prompts) for kind in COUNTS} == COUNTS


def test_held_out_combinations_are_found_where_they_are():
    assert held_out_in("The quick fox jumps.") == [("quick", "fox")]
    assert held_out_in("Two slow, brown foxes") == []
    assert held_out_in("Two slow brown foxes") == [("slow", "foxes")]
    assert held_out_in("the foxes were very unhurried") == [("unhurried", "foxes")]


def test_held_out_combinations_are_in_no_training_text(training_text):
    """An independent look: any adjective right before any noun, against the list."""
    singular = {form: noun.singular for noun in nouns() for form in (noun.singular, noun.plural)}
    joined = {
        (groups()[adjective_group()[first]].pair, singular[second])
        for text in training_text
        for first, second in re.findall(r"(?=\b([a-z]+) ([a-z]+)\b)", text)
        if first in adjective_group() and second in singular
    }
    assert len(joined) > 1000
    assert joined.isdisjoint(held_out_combinations())
    assert not any(re.search(r"\b(quick|swift|fast|slow|sluggish|unhurried) fox", text) for text in training_text)


def test_held_out_meanings_are_in_no_tuning_instruction(policies):
    unseen = {word for group in groups() if group.pair in held_out_pairs() for word in group.words}
    obeyed = tuning_documents(Random(8), policies, 3000, 0)
    shown = {word for document in obeyed for word in re.findall("[a-z]+", document.context + document.text)}
    assert len(unseen) == 72
    assert unseen.isdisjoint(shown)
    assert len(shown & set(adjective_group())) == len(adjective_group()) - len(unseen)


def test_unseen_wordings_are_in_no_training_text(training_text):
    patterns = [template.replace("{s}", r"(the|this)[a-z ]* sentence[a-z ]*?") for template in unseen_wordings()]
    text = "\n".join(training_text)
    assert re.search(patterns[0].replace("adjective", "verb"), text, re.IGNORECASE)
    assert [pattern for pattern in patterns if re.search(pattern, text, re.IGNORECASE)] == []


def test_no_content_word_has_two_meanings():
    adjectives = [word for group in groups() for word in group.words]
    forms = [form for verb in verbs() for forms in verb.forms for form in dict.fromkeys(forms)]
    names = [form for noun in nouns() for form in (noun.singular, noun.plural)]
    assert len(set(adjectives + forms + names)) == len(adjectives + forms + names)


def test_nothing_of_the_script_needs_pickle():
    suffixes = {Path(name).suffix for _, _, names in os.walk(FOLDER) for name in names}
    assert ".safetensors" in suffixes
    assert suffixes.isdisjoint({".bin", ".pt", ".pth", ".pkl"})
