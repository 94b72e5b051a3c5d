"""Logit difference: logit[answer] − logit[original] at END, both models, in float32.

Positive: the model prefers the replacement. Probabilities and ranks are the model's own, after a soft cap where it
has one; the difference is before the cap, where it decomposes (see `core.attribution`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from core.prompt import AnsweredPrompt, special_ids, token_strings
from core.readout import capped
from core.recording import Recording
from core.results import Summary, TopTokens

TOP = 10


def suggest(recording: Recording, original: str, count: int = 8) -> list[tuple[int, str]]:
    """The model's top next tokens at END that are not the original in any casing or spacing: (id, string)."""
    tokenizer = recording.bridge.tokenizer
    special = special_ids(tokenizer)
    order = recording.next_token_logits.argsort(descending=True).tolist()
    word = original.strip().casefold()
    found: list[tuple[int, str]] = []
    for start in range(0, len(order), 4 * count):
        ids = [i for i in order[start : start + 4 * count] if i not in special]
        named = zip(ids, token_strings(ids, tokenizer))
        found += [(i, string) for i, string in named if string.strip().casefold() not in ("", word)]
        if len(found) >= count:
            break
    return found[:count]


@torch.no_grad()
def summarize(recordings: tuple[Recording, Recording], prompt: AnsweredPrompt) -> Summary:
    """Summary of (BASE, INSTRUCT)."""
    rows = [_one_model(recording, prompt) for recording in recordings]
    numbers = {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "top"}
    suggestions = tuple(string for _, string in suggest(recordings[1], prompt.original))
    return Summary(**numbers, top=(rows[0]["top"], rows[1]["top"]), suggestions=suggestions)


def _one_model(recording: Recording, prompt: AnsweredPrompt) -> dict[str, Any]:
    logits = recording.next_token_logits
    as_given = capped(logits, recording.bridge)
    prob = as_given.softmax(-1)
    row: dict[str, Any] = {}
    for name, i in (("answer", prompt.answer_id), ("original", prompt.original_id)):
        row[f"logit_{name}"] = float(logits[i])
        row[f"prob_{name}"] = float(prob[i])
        row[f"rank_{name}"] = int((logits > logits[i]).sum())
    row["logit_diff"] = float(logits[prompt.answer_id] - logits[prompt.original_id])
    row["capped_diff"] = float(as_given[prompt.answer_id] - as_given[prompt.original_id])
    row["top"] = _top(as_given, prob, recording.bridge.tokenizer)
    return row


def _top(logits: Tensor, prob: Tensor, tokenizer: PreTrainedTokenizerFast) -> TopTokens:
    best = torch.topk(logits, min(TOP, len(logits))).indices
    strings = token_strings(best.tolist(), tokenizer)
    return TopTokens(
        tuple(best.tolist()), strings, prob[best].float().cpu().numpy(), logits[best].float().cpu().numpy()
    )
