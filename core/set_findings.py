"""What a set of prompts says, in one sentence made from its averages; where nothing is sure it says that."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.recognize.results import NONE, SCRAMBLED, Instructed, Recognized
from core.results import head_name
from core.sets.results import SetResult, with_interval
from core.wording import share

_NAMED = 5
_LEAST = 2  # prompts from which on there is an interval


def of_set(found: SetResult) -> str:
    """Both means with their intervals, and in how many of the prompts INSTRUCT lies above BASE."""
    if not found.usable:
        return "No row of this set can be used by this pair; each is listed below with its reason."
    if found.averages is None:
        return f"No prompt of {found.usable} has run yet."
    mean, count = found.averages.summary["logit_diff"], len(found.ran)
    so_far = f" (so far: {count} of {found.usable} have run)" if count < found.usable else ""
    base, instruct = (with_interval(mean, model) for model in (0, 1))
    above = float(np.mean(found.logit_diff[:, 1] > found.logit_diff[:, 0]))
    prompts = f"Over {count} prompts" if count > 1 else "On one prompt"
    said = f"{prompts} {_leans('BASE', mean.mean[0])} ({base}) and {_leans('INSTRUCT', mean.mean[1])} ({instruct})"
    if count < _LEAST:
        return f"{said}{so_far}."
    sure = "the difference is sure in sign" if not mean.spans_zero[2] else "whether they differ is open"
    return f"{said}; INSTRUCT lies higher in {share(above)} of them, {sure}{so_far}."


def _leans(model: str, mean: float) -> str:
    return f"{model} prefers the {'replacement' if mean > 0 else 'original'}"


def of_instructions(found: Instructed) -> str:
    """Against which other instructions INSTRUCT tells its own apart, and whether more than BASE does."""
    if not found.contrast:
        return "No prompt has run under several instructions yet."
    so_far = f" (so far: {found.ran} of {found.usable} prompts)" if found.ran < found.usable else ""
    sure = {kind: mean for kind, mean in found.contrast.items() if not mean.spans_zero[2] and mean.mean[2] > 0}
    if not sure:
        return f"No instruction is told apart by INSTRUCT surely more than by BASE{so_far}."
    kind, mean = max(sure.items(), key=lambda item: item[1].mean[2])
    others = [name for name in found.contrast if name not in sure]
    not_sure = f" Not surely: {', '.join(map(_instruction, others))}." if others else ""
    said = (
        f"INSTRUCT tells its instruction from others more than BASE does, most from {_instruction(kind)}: the own one "
        f"adds {with_interval(mean, 1)} logits in INSTRUCT and {with_interval(mean, 0)} in BASE"
    )
    return f"{said}{so_far}.{not_sure}"


def _instruction(kind: str) -> str:
    return {SCRAMBLED: "its words scrambled", NONE: "none"}.get(kind, f"“{kind}”")


def of_heads(found: Recognized) -> str:
    """The heads that carry the instruction within INSTRUCT, those that carry the replacement, and how they agree."""
    effect, replacement = found.effect.mean[1], found.replacement.mean
    instruction, word = (_top(values) for values in (effect, replacement))
    shared = [head for head in instruction if head in word]
    ranks = [pd.Series(np.abs(values).ravel()).rank() for values in (effect, replacement)]
    rho = ranks[0].corr(ranks[1])
    so_far = f" (so far: {found.ran} of {found.usable} prompts)" if found.ran < found.usable else ""
    both = f"{_named(shared)} {'is' if len(shared) == 1 else 'are'} among both" if shared else "none is among both"
    return (
        f"Within INSTRUCT the instruction is carried most by {_named(instruction)}, between the models the replacement "
        f"by {_named(word)}; {both}, and over all heads the sizes agree with a rank correlation of {rho:.2f}{so_far}."
    )


def _top(values: np.ndarray) -> list[tuple[int, int]]:
    order = np.argsort(-np.abs(values), axis=None, kind="stable")[:_NAMED]
    return [(int(n // values.shape[1]), int(n % values.shape[1])) for n in order]


def _named(places: list[tuple[int, int]]) -> str:
    return ", ".join(head_name(*place) for place in places)
