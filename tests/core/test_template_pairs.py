"""A chat template in a loaded pair: whose it is, where writing ends, and what is suggested."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from core.experiment import Experiment, InputError
from core.generation import continuation
from core.logit_difference import suggest
from core.prompt import tokenize
from core.recording import record
from core.runs import read_prompt
from core.tokens import special_ids
from tests.chat_templates import chatting, with_template

CHAT = Experiment(answer="swift", template="chat")


def test_what_is_written_on_ends_with_the_turn(pair_of):
    """Whatever token that is: a third one is taken for it here."""
    pair = pair_of()
    *_, whole = continuation(pair.bridges[0], pair.prompt, 8)
    assert pair.prompt.stops == ()
    ids, bridge = list(pair.prompt.ids), pair.bridges[0]
    with torch.no_grad():
        for _ in range(3):
            ids.append(int(bridge(torch.tensor([ids]))[0, -1].argmax()))
    assert len(set(ids[-3:])) == 3
    *_, ended = continuation(bridge, replace(pair.prompt, stops=(ids[-1],)), 8)
    before, after = (bridge.tokenizer.decode(each, skip_special_tokens=True) for each in (pair.prompt.ids, ids))
    assert ended == after[len(before) :] and whole.startswith(ended) and whole != ended


def test_both_models_read_instructs_template_and_a_pair_without_one_names_it(pair_of, tokenizer_of):
    plain, chat = tokenizer_of("byte_level"), with_template(tokenizer_of("byte_level"), SPECIAL_OF_ITS_OWN)
    pair = loaded(pair_of(), plain, chat)
    prompt = read_prompt(CHAT, pair)
    assert prompt.ids == tokenize(CHAT, chat).ids and prompt.stops == (chat.eos_token_id,)
    with pytest.raises(InputError, match="template missing: 'org/tuned' has no chat template; choose the template raw"):
        read_prompt(CHAT, loaded(pair_of(), chat, plain))


SPECIAL_OF_ITS_OWN = "{% for m in messages %}{{ bos_token + m['content'] + eos_token }}{% endfor %}"


def loaded(pair, *tokenizers):
    """What `read_prompt` asks of a loaded pair."""
    bridges = [SimpleNamespace(tokenizer=t, cfg=b.cfg) for t, b in zip(tokenizers, pair.bridges)]
    checkpoints = [SimpleNamespace(source=name) for name in ("org/model", "org/tuned")]
    return SimpleNamespace(base=bridges[0], instruct=bridges[1], checkpoints=checkpoints)


def test_no_special_token_is_ever_suggested(booted, tokenizer_of):
    """Nor one that the tokenizer has no name for, such as the end of a turn."""
    bridge, tokenizer = booted(), chatting(tokenizer_of("byte_level"), "llama3")
    bridge.tokenizer = None
    bridge.tokenizer = tokenizer
    end = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    assert end not in tokenizer.all_special_ids and end < bridge.W_U.shape[1]
    found = {i for i, _ in suggest(record(bridge, tokenize(CHAT, tokenizer).ids), " quick", bridge.W_U.shape[1])}
    assert len(found) > 100 and found.isdisjoint(special_ids(tokenizer))
