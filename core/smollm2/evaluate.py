"""What the pair must show, and how each figure is measured; `core.tiny.evaluate` defines the measures of next words."""

from __future__ import annotations

import math

import numpy as np
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from core.linear import fast_linears
from core.smollm2.heldout import POST_PROMPT, typed_prompts
from core.smollm2.words import FOLDER
from core.tiny.evaluate import Threshold, next_words
from core.tiny.heldout import Prompt

THRESHOLDS = (
    Threshold("base unseen logit_diff", False, -2.5),
    Threshold("instruct unseen logit_diff", True, 2.0),
    Threshold("instruct unseen synonym", True, 0.75),
    Threshold("instruct unseen copy", False, 0.10),
    Threshold("instruct trained synonym", True, 0.92),
    Threshold("instruct trained copy", False, 0.03),
    Threshold("instruct repeat copy", True, 0.95),
    Threshold("base post logit_diff", False, -3.0),
    Threshold("instruct post logit_diff", True, 2.5),
    Threshold("instruct typed synonym", True, 1.0),
    Threshold("perplexity ratio", False, 1.03),
)


def by_kind(prompts: list[Prompt]) -> dict[str, list[Prompt]]:
    """The held-out prompts, the post's and the freely typed ones, by kind."""
    kinds: dict[str, list[Prompt]] = {"post": [POST_PROMPT], "typed": typed_prompts()}
    for prompt in prompts:
        kinds.setdefault(prompt.kind, []).append(prompt)
    return kinds


def loss_on_ordinary_text(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    """Mean loss a token, nats, over the paragraphs of `ordinary.txt`, which no training text holds."""
    losses, tokens = 0.0, 0
    for paragraph in (FOLDER / "ordinary.txt").read_text(encoding="utf-8").splitlines():
        ids = tokenizer(paragraph, return_tensors="pt").input_ids
        losses += model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    return losses / tokens


def measure(
    base: LlamaForCausalLM, instruct: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> dict[str, float]:
    """Every figure of the model card, by name: model, kind of prompt, quantity."""
    figures: dict[str, float] = {}
    for name, model in (("base", base), ("instruct", instruct)):
        with torch.no_grad(), fast_linears(model):
            found = _next_words_by_kind(model, tokenizer, prompts)
            figures |= {f"{name} {figure}": value for figure, value in found.items()}
            figures[f"{name} loss on ordinary text"] = loss_on_ordinary_text(model, tokenizer)
    difference = figures["instruct loss on ordinary text"] - figures["base loss on ordinary text"]
    return figures | {"perplexity ratio": math.exp(difference)}


def _next_words_by_kind(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> dict[str, float]:
    figures: dict[str, float] = {}
    for kind, chosen in by_kind(prompts).items():
        found = next_words(model, tokenizer, chosen)
        figures[f"{kind} logit_diff"] = float(found.logit_diff.mean())
        if len(chosen) > 1:
            figures[f"{kind} logit_diff standard error"] = float(found.logit_diff.std(ddof=1) / np.sqrt(len(chosen)))
        figures[f"{kind} synonym"] = float(found.synonym.mean())
        figures[f"{kind} copy"] = float(found.copy.mean())
    return figures
