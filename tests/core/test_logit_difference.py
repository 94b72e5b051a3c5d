"""The logit difference: float32 whatever the model's dtype, the numbers beside it, and INSTRUCT's suggestions."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from core.experiment import Experiment
from core.logit_difference import TOP, suggest, summarize
from core.prompt import tokenize
from core.readout import Readout, readout
from core.recording import Recording, record
from core.results import MODELS


def favouring(bridge, ids, strength: dict[int, float]) -> None:
    """Write the unembedding so that these tokens get these logits at END of the ids."""
    recording = record(bridge, ids)
    y = readout(bridge).normalized(recording.final_residual[-1])
    weight = bridge.unembed.original_component.weight
    with torch.no_grad():
        for token, logit in strength.items():
            weight[token] = (y * logit / (y @ y)).to(weight.dtype)


def test_differences_of_a_bfloat16_model_are_finer_than_its_logits(booted, pair_of):
    prompt, bridge = pair_of().prompt, booted(dtype=torch.bfloat16)
    tokens = dict(zip(range(20, 40), np.linspace(17, 31, 20)))
    favouring(bridge, prompt.ids, tokens)
    recording = record(bridge, prompt.ids)
    x = recording.final_residual[-1].double()
    norm = bridge.ln_final.original_component
    y = x / (x.pow(2).mean() + norm.variance_epsilon).sqrt() * norm.weight.double()
    exact = (bridge.unembed.original_component.weight.double() @ y).detach()
    own = recording.activations["unembed.hook_out"][0, 0]
    assert own.dtype == torch.bfloat16 and all(16 <= own[i] < 32 for i in tokens)
    finer = 0
    for answer, original in combinations(tokens, 2):
        pair = replace(prompt, answer_id=answer, original_id=original)
        found = summarize((recording, recording), pair).logit_diff[0]
        assert abs(found - float(exact[answer] - exact[original])) < 1e-4
        assert float(own[answer] - own[original]) % 0.125 == 0
        finer += abs(found - round(found / 0.125) * 0.125) > 0.02
    assert finer > len(tokens)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_readout_computes_in_float32_or_better(booted, dtype):
    bridge = booted(dtype=dtype)
    logits = record(bridge, [1, 30, 40]).next_token_logits
    assert logits.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("family, name", [("llama", "variance_epsilon"), ("neox", "eps")])
def test_the_final_norms_epsilon_is_the_models_own(booted, family, name):
    bridge = booted(family, groups=4)
    setattr(bridge.ln_final.original_component, name, 0.5)
    recording = record(bridge, [1, 30, 40])
    own = recording.activations["unembed.hook_out"][0, 0]
    torch.testing.assert_close(recording.next_token_logits, own, atol=1e-4, rtol=0)


def test_the_difference_is_its_logits_difference_for_both_models(pair_of):
    pair = pair_of()
    summary = summarize(pair.recordings, pair.prompt)
    np.testing.assert_allclose(summary.logit_diff, summary.logit_answer - summary.logit_original, atol=1e-6)
    for m, recording in enumerate(pair.recordings):
        logits = recording.next_token_logits
        assert summary.logit_answer[m] == float(logits[pair.prompt.answer_id])
        assert summary.logit_original[m] == float(logits[pair.prompt.original_id])
        reader = readout(recording.bridge)
        alone = reader.logit_diff(recording.final_residual[-1], pair.prompt.answer_id, pair.prompt.original_id)
        np.testing.assert_allclose(summary.logit_diff[m], float(alone), atol=1e-5)
    assert summary.gap == summary.logit_diff[1] - summary.logit_diff[0] != 0


def test_swapping_the_candidates_swaps_the_sign(pair_of):
    pair = pair_of()
    prompt = pair.prompt
    swapped = replace(prompt, answer_id=prompt.original_id, original_id=prompt.answer_id)
    there, back = (summarize(pair.recordings, p).logit_diff for p in (prompt, swapped))
    assert np.array_equal(there, -back)


def test_probabilities_and_ranks_are_over_the_whole_vocabulary(booted, pair_of):
    prompt, bridge = pair_of().prompt, booted()
    favouring(bridge, prompt.ids, {prompt.answer_id: 30.0, 50: 29.0, prompt.original_id: 28.0})
    recording = record(bridge, prompt.ids)
    summary = summarize((recording, recording), prompt)
    assert summary.rank_answer[0] == 0 and summary.rank_original[0] == 2
    np.testing.assert_allclose(summary.prob_answer[0], 1 / (1 + np.exp(-1) + np.exp(-2)), atol=1e-3)
    assert summary.top[0].ids[:3] == (prompt.answer_id, 50, prompt.original_id)
    assert summary.top[0].strings[0] == " swift"


def test_top_tokens_come_most_likely_first(pair_of):
    pair = pair_of("gemma2")
    summary = summarize(pair.recordings, pair.prompt)
    for model, top in zip(pair.models, summary.top):
        with torch.no_grad():
            logits = model(torch.tensor([pair.prompt.ids])).logits[0, -1]
        best = logits.topk(TOP)
        assert top.ids == tuple(best.indices.tolist())
        np.testing.assert_allclose(top.logit, best.values, atol=1e-4)
        np.testing.assert_allclose(top.prob, logits.softmax(-1)[best.indices], atol=1e-5)
        assert list(top.to_frame().columns) == ["token", "id", "prob", "logit"]


def test_suggestions_are_not_the_original_in_any_casing_or_spacing(booted, pair_of, tokenizer_of):
    tokenizer, bridge = tokenizer_of("byte_level"), booted()
    prompt = tokenize(Experiment(original="the", answer="swift"), tokenizer)
    forms = [tokenizer.convert_tokens_to_ids(token) for token in ("The", "ĠThe", "Ġthe")]
    assert tokenizer.unk_token_id not in forms and len(set(forms)) == 3
    others = [tokenizer.convert_tokens_to_ids(token) for token in ("Ġdog", "Ġfox", "</s>")]
    favouring(bridge, prompt.ids, dict(zip([*forms, *others], (90.0, 80.0, 70.0, 60.0, 50.0, 40.0))))
    recording = record(bridge, prompt.ids)
    found = suggest(recording, prompt.original, 4)
    assert [string for _, string in found[:2]] == [" dog", " fox"]
    assert found[0][0] == others[0] and len(found) == 4
    assert others[2] not in [i for i, _ in found]
    base = record(pair_of().bridges[0], prompt.ids)
    assert summarize((base, recording), prompt).suggestions[:2] == (" dog", " fox")


def test_a_suggestion_is_found_however_many_forms_of_the_original_lead(booted, tokenizer_of, monkeypatch):
    tokenizer, bridge = tokenizer_of("byte_level"), booted()
    recording = record(bridge, tokenize(Experiment(answer="swift"), tokenizer).ids)
    dog = tokenizer.convert_tokens_to_ids("Ġdog")
    blank = [i for i in range(len(tokenizer)) if not tokenizer.decode([i]).strip()]
    assert len(blank) > 4
    logits = torch.zeros(bridge.W_U.shape[1])
    logits[blank], logits[dog] = 9.0, 5.0
    monkeypatch.setattr(Recording, "next_token_logits", logits)
    assert suggest(recording, " the", 1) == [(dog, " dog")]


def test_the_logits_of_a_recording_are_formed_once_however_often_they_are_read(pair_of, monkeypatch):
    pair, formed, logits = pair_of(), [], Readout.logits
    recordings = tuple(record(bridge, pair.prompt.ids) for bridge in pair.bridges)
    monkeypatch.setattr(Readout, "logits", lambda self, x: formed.append(self) or logits(self, x))
    suggest(recordings[1], " the", 1)
    once, again = (summarize(recordings, pair.prompt) for _ in range(2))
    assert len(formed) == 2 and once.to_frame().equals(again.to_frame())


def test_the_table_has_a_row_for_each_model(pair_of):
    pair = pair_of()
    summary = summarize(pair.recordings, pair.prompt)
    table = summary.to_frame()
    numbers = ["logit_answer", "logit_original", "logit_diff", "prob_answer", "prob_original"]
    assert list(table.columns) == ["model", *numbers, "rank_answer", "rank_original"]
    assert tuple(table["model"]) == MODELS
    assert table["logit_diff"].tolist() == summary.logit_diff.tolist()
