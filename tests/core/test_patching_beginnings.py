"""Rows of prompts that begin alike run the shared tokens once, and say what they say when each prompt runs whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.patching import beginnings, growing_pass
from core.patching.beginnings import beginning_of
from core.patching.budget import Budget
from core.patching.growing_pass import run_rows, shape_of
from core.patching.plan import GROUP_SITES, HEAD_SITES, LAYER_SITES, WEIGHT_SITES, sweep_rows
from core.patching.sweeps import sweep
from core.prompt import tokenize
from core.recording import record
from tests.random_models import FAMILIES
from tests.random_pair import EXPERIMENT

SENTENCES = ("The quick fox jumps over the dog.", "The quick dog runs.", "The quick old cat sleeps near the house.")
FEW = Budget(10**9, 300)
EXACT = 5e-6  # norms, rotation and softmax are in float32 even here


def recorded(pair, tokenizer):
    """Each prompt's recordings with the beginning that they share, and the prompts."""
    prompts = [tokenize(replace(EXPERIMENT, sentence=sentence), tokenizer) for sentence in SENTENCES]
    same = zip(*(prompt.ids for prompt in prompts))
    shared = next(n for n, ids in enumerate(same) if len(set(ids)) > 1)
    begins = beginning_of(pair.bridges, prompts[0].ids[:shared], max(len(prompt.ids) for prompt in prompts))
    runs = [tuple(replace(record(b, prompt.ids), begins=begins) for b in pair.bridges) for prompt in prompts]
    return runs, prompts, begins


@pytest.mark.parametrize("site", [*HEAD_SITES, *GROUP_SITES, *LAYER_SITES, *WEIGHT_SITES])
def test_every_site_gives_the_numbers_of_the_whole_prompt(site, pair_of, tokenizer_of):
    runs, prompts, begins = recorded(pair_of("llama", 2, torch.float64), tokenizer_of("byte_level"))
    for direction in ("instruct_to_base", "base_to_instruct"):
        for both, prompt in zip(runs, prompts):
            alone = tuple(replace(recording, begins=None) for recording in both)
            shared = sweep(both, prompt, site, direction, budget=FEW)
            whole = sweep(alone, prompt, site, direction, budget=FEW)
            assert np.abs(shared.logit_diff - whole.logit_diff).max() < EXACT
            assert np.allclose(shared.measures.kl_donor, whole.measures.kl_donor, rtol=0, atol=EXACT)
            assert shared.gap.no_op < EXACT
    assert begins.positions > 4 and begins.kept


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_the_numbers_of_the_whole_prompt(family, pair_of, tokenizer_of):
    runs, prompts, _ = recorded(pair_of(family, 2, torch.float64), tokenizer_of("byte_level"))
    for both, prompt in zip(runs, prompts):
        alone = tuple(replace(recording, begins=None) for recording in both)
        found, whole = (sweep(each, prompt, "z", budget=FEW).logit_diff for each in (both, alone))
        assert np.abs(found - whole).max() < EXACT


def test_the_shared_tokens_run_once_for_all_prompts(pair_of, tokenizer_of, monkeypatch):
    runs, prompts, begins = recorded(pair_of(), tokenizer_of("byte_level"))
    lengths, run = [], growing_pass._pass
    monkeypatch.setattr(growing_pass, "_pass", lambda growth, how: lengths.append(growth.end + 1) or run(growth, how))
    for both, prompt in zip(runs, prompts):
        sweep(both, prompt, "z", budget=FEW)
    chunks = len(begins.kept)
    assert lengths.count(begins.positions) == chunks > 1
    assert sorted(set(lengths) - {begins.positions}) == sorted({len(p.ids) - begins.positions for p in prompts})
    assert len(lengths) == chunks * (1 + len(prompts))


def test_rows_without_a_no_op_before_them_read_their_own_beginnings(pair_of, tokenizer_of):
    runs, prompts, _ = recorded(pair_of("llama", 2, torch.float64), tokenizer_of("byte_level"))
    rows = sweep_rows("z", (), shape_of(runs[0][0]))
    candidates = prompts[0].answer_id, prompts[0].original_id
    # After a pass with no-ops, whose kept beginnings are of other rows.
    with_no_op, bare = (run_rows(*runs[0], rows, candidates, FEW, bare=bare) for bare in (False, True))
    np.testing.assert_allclose(bare.logit_diff, with_no_op.logit_diff, rtol=0, atol=EXACT)


@pytest.mark.parametrize("how", [{"positions": "end"}, {"positions": 2}, {"source": "carried"}, {}])
def test_rows_that_cannot_share_or_have_no_room_run_as_they_would_alone(how, pair_of, tokenizer_of, monkeypatch):
    if not how:
        monkeypatch.setattr(beginnings, "ROOM", 0.0)
    runs, prompts, begins = recorded(pair_of(), tokenizer_of("byte_level"))
    both, prompt = runs[0], prompts[0]
    alone = tuple(replace(recording, begins=None) for recording in both)
    found, whole = (sweep(each, prompt, "z", budget=FEW, **how).logit_diff for each in (both, alone))
    assert np.array_equal(found, whole) and not begins.kept
