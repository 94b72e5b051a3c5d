"""Text of several tokens a pass is the text that is written token by token, whatever is drafted, in fewer passes."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
import transformers

from core import greedy as module
from core.experiment import Experiment
from core.generation import continuation
from core.greedy import Draft, greedy
from core.models.loading import load_pair
from core.models.pairs import registry
from core.models.plain import plain
from core.readout import rounding
from core.recording import record
from core.runs import read_prompt
from tests.random_models import CASE_NAMES, CASES, FAMILIES, SIZES

TOKENS = 8
# Without a word that stands twice.
SENTENCES = (
    "The quick fox jumps over the dog.",
    "The quick and happy king saw a big house near the small river.",
    "It was a cold day and the tired man slept.",
)


@pytest.fixture(scope="module")
def tiny():
    return load_pair(registry()["tiny"], "float32", "cpu")


@torch.no_grad()
def one_by_one(bridge, ids, room: int, ends=()) -> list[int]:
    """The likeliest token of a whole pass each, nothing kept from the one before."""
    text = list(ids)
    while len(text) < len(ids) + room and not (len(text) > len(ids) and text[-1] in ends):
        text.append(int(plain(bridge)(torch.tensor([text])).logits[0, -1].argmax()))
    return text[len(ids) :]


@contextmanager
def passes(bridge):
    """The number of passes of the model within the block, in a list."""
    count = [0]

    def counted(*given) -> None:
        count[0] += 1

    handle = plain(bridge).register_forward_pre_hook(counted)
    try:
        yield count
    finally:
        handle.remove()


def written(bridge, ids, room: int, ends=(), recording=None) -> list[int]:
    return [token for settled in greedy(bridge, ids, room, ends, recording) for token in settled]


@pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
def test_the_tokens_are_those_of_one_pass_each_and_the_passes_never_more(pair_of, family, groups):
    pair = pair_of(family, groups)
    bridge, recording, ids = pair.bridges[0], pair.recordings[0], pair.prompt.ids
    expected = one_by_one(bridge, ids, TOKENS)
    for known in (None, recording):
        with passes(bridge) as count:
            assert written(bridge, ids, TOKENS, (), known) == expected
        assert count[0] <= TOKENS - (known is not None)
    assert written(bridge, ids, TOKENS, expected[4:5], recording) == expected[: 1 + expected.index(expected[4])]


@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_is_drafted_the_tokens_are_the_same(pair_of, family, monkeypatch):
    pair = pair_of(family, 4)
    bridge, recording, ids = pair.bridges[1], pair.recordings[1], pair.prompt.ids
    expected, rng = one_by_one(bridge, ids, TOKENS), random.Random(0)
    so_far = [0]

    def right_for_a_while(draft, most) -> list[int]:
        right = expected[so_far[0] : so_far[0] + most]
        wrong = [rng.randrange(3, bridge.cfg.d_vocab) for _ in right]
        turn = rng.randrange(len(right) + 1)
        return [*right[:turn], *wrong[turn:]][: rng.randrange(len(right) + 1)]

    for drafted in (
        right_for_a_while,
        lambda draft, most: [0] * most,
        lambda draft, most: expected[so_far[0] :][:most],
    ):
        monkeypatch.setattr(Draft, "next", drafted)
        found: list[int] = []
        so_far[0] = 0
        with passes(bridge) as count:
            for settled in greedy(bridge, ids, TOKENS, (), recording):
                found += settled
                so_far[0] = len(found)
        assert found == expected and count[0] < TOKENS


@pytest.mark.parametrize("family", FAMILIES)
def test_in_half_precision_each_token_leads_up_to_rounding(pair_of, family):
    """Where two tokens are as likely as each other a pass of many may take the one, a pass of each the other."""
    pair = pair_of(family, 4, torch.bfloat16)
    bridge, ids = pair.bridges[0], pair.prompt.ids
    for known in (None, record(bridge, ids)):
        text = list(ids)
        for token in written(bridge, ids, TOKENS, (), known):
            with torch.no_grad():
                logits = plain(bridge)(torch.tensor([text])).logits[0, -1].float()
            assert logits[token] >= logits.max() - rounding(bridge)
            text.append(token)


def test_a_rewriting_takes_a_pass_for_each_word_that_it_changes(tiny):
    for n, sentence in enumerate(SENTENCES):
        prompt = read_prompt(replace(Experiment(), sentence=sentence, original=sentence.split()[1]), tiny)
        for bridge in tiny.base, tiny.instruct:
            ends, recording = (bridge.tokenizer.eos_token_id,), record(bridge, prompt.ids)
            expected = one_by_one(bridge, prompt.ids, 24, ends)
            with passes(bridge) as count:
                assert written(bridge, prompt.ids, 24, ends, recording) == expected
            # The sentence repeated, or with its one adjective replaced, is foreseen to its end.
            assert count[0] == 1 if n == 0 else count[0] < len(expected)


def test_a_draft_goes_on_behind_what_was_repeated_replaced_or_left_out():
    source = [7, 1, 2, 3, 4, 5, 6, module._BREAK, 7, 1]
    assert Draft(list(source)).next(9) == [2, 3, 4, 5, 6]
    for taken, drafted in (([2], [3, 4, 5, 6]), ([8], [3, 4, 5, 6]), ([4], [5, 6]), ([8, 9], [4, 5, 6])):
        draft = Draft(list(source))
        for token in taken:
            draft.take(token)
        assert draft.next(9) == drafted and draft.next(2) == drafted[:2], taken


def test_a_text_that_goes_its_own_way_is_drafted_no_more_until_it_repeats_something():
    draft = Draft(list(range(100, 160)))
    for token in range(200, 210):
        draft.take(token)
    assert draft.next(9) == []
    for token in range(103, 106):
        draft.take(token)
    assert draft.next(9) == [106, 107]


def test_a_model_whose_state_cannot_be_taken_back_writes_the_same_tokens(pair_of, monkeypatch):
    kinds, linear = ["linear_attention", "full_attention"], dict(linear_key_head_dim=8, linear_value_head_dim=8)
    linear |= dict(linear_num_value_heads=4, linear_num_key_heads=2, layer_types=kinds)
    config = transformers.Qwen3NextConfig(**SIZES, **linear, mlp_only_layers=[0, 1], attn_implementation="eager")
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape) + (0.5 if weight.ndim == 1 else 0))
    monkeypatch.setattr(module, "plain", lambda bridge: model)
    monkeypatch.setattr(Draft, "next", lambda draft, most: [7] * most)
    bridge, expected = pair_of().bridges[0], [5, 6, 7, 8]
    for _ in range(TOKENS):
        with torch.no_grad():
            expected.append(int(model(torch.tensor([expected])).logits[0, -1].argmax()))
    assert written(bridge, expected[:4], TOKENS) == expected[4:]


def test_a_special_tokens_name_in_the_text_is_drafted_as_the_text_it_is(tiny):
    tokenizer = tiny.instruct.tokenizer
    ids = tokenizer(f"a {tokenizer.eos_token} b", add_special_tokens=False, split_special_tokens=True).input_ids
    assert tokenizer.eos_token_id not in ids and module._lines(tokenizer, ids) == ids


def test_nothing_is_written_where_there_is_no_room(tiny):
    assert written(tiny.base, (5, 6, 7), 0) == []
    assert list(continuation(tiny.base, read_prompt(Experiment(), tiny), 0)) == []
