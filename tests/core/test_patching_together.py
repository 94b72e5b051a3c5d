"""Prompts of one length whose rows share passes give the numbers that each gives alone, in the passes of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.patching import growing_pass
from core.patching.beginnings import beginning_of
from core.patching.budget import Budget
from core.patching.plan import GROUP_SITES, HEAD_SITES, LAYER_SITES, WEIGHT_SITES
from core.patching.sweeps import sweep
from core.patching.together import Together
from core.prompt import tokenize
from core.recording import record, record_together
from tests.random_models import FAMILIES
from tests.random_pair import EXPERIMENT

SENTENCES = (
    "The quick fox jumps over the dog.",
    "The quick dog jumps over the fox.",
    "The quick fox jumps over the fox.",
)
ROOMY = Budget(10**9, 2000)
EXACT = 5e-6  # norms, rotation and softmax are in float32 even here


def recorded(pair, tokenizer, begin: bool):
    """The prompts; both models' runs of each alone, and of all together."""
    prompts = [tokenize(replace(EXPERIMENT, sentence=sentence), tokenizer) for sentence in SENTENCES]
    ids = [prompt.ids for prompt in prompts]
    assert len({len(each) for each in ids}) == 1
    shared = next(n for n, column in enumerate(zip(*ids)) if len(set(column)) > 1)
    begins = beginning_of(pair.bridges, ids[0][:shared], len(ids[0])) if begin else None
    alone = [tuple(record(bridge, each) for bridge in pair.bridges) for each in ids]
    every = list(zip(*(record_together(bridge, ids) for bridge in pair.bridges)))
    together = Together(dict(zip(ids, every)))
    joined = [tuple(replace(each, begins=begins, together=together) for each in both) for both in every]
    return prompts, alone, joined


def check(prompts, alone, joined, site, **how) -> None:
    for prompt, mine, ours in zip(prompts, alone, joined):
        whole = sweep(mine, prompt, site, budget=ROOMY, **how)
        found = sweep(ours, prompt, site, budget=ROOMY, **how)
        assert np.abs(found.logit_diff - whole.logit_diff).max() < EXACT
        assert np.allclose(found.measures.kl_donor, whole.measures.kl_donor, rtol=0, atol=EXACT)
        assert found.gap.no_op < EXACT


@pytest.mark.parametrize("site", [*HEAD_SITES, *GROUP_SITES, *LAYER_SITES, *WEIGHT_SITES])
def test_every_site_gives_the_numbers_of_each_prompt_alone(site, pair_of, tokenizer_of):
    found = recorded(pair_of("llama", 2, torch.float64), tokenizer_of("byte_level"), begin=True)
    for direction in ("instruct_to_base", "base_to_instruct"):
        check(*found, site, direction=direction)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_the_numbers_of_each_prompt_alone(family, pair_of, tokenizer_of):
    check(*recorded(pair_of(family, 2, torch.float64), tokenizer_of("byte_level"), begin=False), "z")


@pytest.mark.parametrize("how", [{"positions": "end"}, {"source": "carried"}, {"frozen_patterns": True}])
def test_every_kind_of_row_gives_the_numbers_of_each_prompt_alone(how, pair_of, tokenizer_of):
    check(*recorded(pair_of("llama", 2, torch.float64), tokenizer_of("byte_level"), begin=True), "z", **how)


def test_prompts_together_take_the_passes_of_one(pair_of, tokenizer_of, monkeypatch):
    prompts, _, joined = recorded(pair_of(), tokenizer_of("byte_level"), begin=False)
    passes, run = [], growing_pass._pass

    def counted(growth, how):
        passes.append(len(growth.every))
        run(growth, how)

    monkeypatch.setattr(growing_pass, "_pass", counted)
    sweep(joined[0], prompts[0], "z", budget=ROOMY)
    once = list(passes)
    for both, prompt in zip(joined, prompts):
        sweep(both, prompt, "z", budget=ROOMY)
    assert passes == once and set(once) == {len(prompts)}
