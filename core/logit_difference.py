"""Logit difference: logit[answer] − logit[original] at END, both models, in float32.

Positive: the model prefers the replacement. Probabilities and ranks are the model's own, after a soft cap where it
has one; the difference is before the cap, where it decomposes (see `core.attribution`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.prompt import AnsweredPrompt
from core.readout import capped
from core.recording import Recording
from core.results import MODELS, Summary, TopTokens
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


def of_candidates(recordings: tuple[Recording, Recording], prompt: AnsweredPrompt) -> dict[str, np.ndarray]:
    """The numbers of a `Summary` by field, (model,) each: of answer and original alone."""
    return of_every_candidates([recordings], [prompt])[0]


@torch.no_grad()
def of_every_candidates(
    every: Sequence[tuple[Recording, Recording]], prompts: Sequence[AnsweredPrompt]
) -> list[dict[str, np.ndarray]]:
    """The same of several prompts, of one pair of models."""
    by_model = [_one_model([both[m] for both in every], prompts) for m in range(len(MODELS))]
    return [
        {name: np.array([of_model[name][n] for of_model in by_model]) for name in by_model[0]}
        for n in range(len(prompts))
    ]


def _one_model(recordings: list[Recording], prompts: Sequence[AnsweredPrompt]) -> dict[str, np.ndarray]:
    """(prompt,) each."""
    logits = torch.stack([each.next_token_logits for each in recordings])
    as_given = capped(logits, recordings[0].bridge)
    prob = as_given.softmax(-1)
    tokens = [[prompt.answer_id, prompt.original_id] for prompt in prompts]
    at = torch.tensor(tokens, device=logits.device)
    row = {}
    for n, name in enumerate(("answer", "original")):
        own = logits.gather(1, at[:, n, None])
        row[f"logit_{name}"] = _numbers(own[:, 0])
        row[f"prob_{name}"] = _numbers(prob.gather(1, at[:, n, None])[:, 0])
        row[f"rank_{name}"] = (logits > own).sum(-1).cpu().numpy()
    for name, of in (("logit_diff", logits), ("capped_diff", as_given)):
        answer, original = of.gather(1, at).unbind(1)
        row[name] = _numbers(answer - original)
    return row


def _numbers(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()


def _as_given(recording: Recording) -> Tensor:
    return capped(recording.next_token_logits, recording.bridge)


def _top(recording: Recording) -> TopTokens:
    logits = _as_given(recording)
    prob, best = logits.softmax(-1), torch.topk(logits, min(TOP, len(logits))).indices
    strings = token_strings(best.tolist(), recording.bridge.tokenizer)
    return TopTokens(
        tuple(best.tolist()), strings, prob[best].float().cpu().numpy(), logits[best].float().cpu().numpy()
    )
