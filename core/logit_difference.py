"""Logit difference: logit[answer] − logit[original] at END, both models, in float32.

Positive: the model prefers the replacement. Probabilities and ranks are the model's own, after a soft cap where it
has one; the difference is before the cap, where it decomposes (see `core.attribution`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.prompt import AnsweredPrompt
from core.readout import capped
from core.recording import Recording
from core.results import Summary, TopTokens
from core.tokens import special_ids, token_strings

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
    base, instruct = recordings
    suggestions = tuple(string for _, string in suggest(instruct, prompt.original))
    return Summary(**of_candidates(recordings, prompt), top=(_top(base), _top(instruct)), suggestions=suggestions)


@torch.no_grad()
def of_candidates(recordings: tuple[Recording, Recording], prompt: AnsweredPrompt) -> dict[str, np.ndarray]:
    """The numbers of a `Summary` by field, (model,) each: of answer and original alone."""
    rows = [_one_model(recording, prompt) for recording in recordings]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _one_model(recording: Recording, prompt: AnsweredPrompt) -> dict[str, float]:
    logits, as_given = recording.next_token_logits, _as_given(recording)
    prob = as_given.softmax(-1)
    row: dict[str, float] = {}
    for name, i in (("answer", prompt.answer_id), ("original", prompt.original_id)):
        row[f"logit_{name}"] = float(logits[i])
        row[f"prob_{name}"] = float(prob[i])
        row[f"rank_{name}"] = int((logits > logits[i]).sum())
    row["logit_diff"] = float(logits[prompt.answer_id] - logits[prompt.original_id])
    row["capped_diff"] = float(as_given[prompt.answer_id] - as_given[prompt.original_id])
    return row


def _as_given(recording: Recording) -> Tensor:
    return capped(recording.next_token_logits, recording.bridge)


def _top(recording: Recording) -> TopTokens:
    logits = _as_given(recording)
    prob, best = logits.softmax(-1), torch.topk(logits, min(TOP, len(logits))).indices
    strings = token_strings(best.tolist(), recording.bridge.tokenizer)
    return TopTokens(
        tuple(best.tolist()), strings, prob[best].float().cpu().numpy(), logits[best].float().cpu().numpy()
    )
