"""One sentence on a head that says what its numbers support and nothing else. Arrows lead from BASE to INSTRUCT.

Each part rests on its own number and is left out without it: no share of the gap without a patch score, no word on
copying unless the token lies in the outermost 1% of its own OV circuit, no kind of head unless its score passes
`KNOWN`. Plain text: tokens in it are the viewer's input and are for the page to escape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np

from core.attention_results import most_attended
from core.head.results import HeadReport, OvCircuit
from core.results import MODELS
from core.wording import arrow, percent, quoted, rank, share, signed, unsigned

# Mean attention on random repeated tokens from which a score is worth a word: most of what a head attends to.
KNOWN = 0.5
LOOKS = 0.1  # the least attention weight that is called looking
RESTS = 0.5  # the least one that is called resting, on the first token
_INPUTS = {
    "recorded": "what it reads there",
    "embedding": "read off the bare embedding, attending there",
    "effective": "read off the effective embedding, attending there",
}
_KINDS = {"copying": "promotes", "suppressing": "suppresses"}
_SCORES = {"previous": "previous-token", "induction": "induction", "bos": "BOS", "first": "first-token"}


@dataclass(frozen=True)
class PatchEvidence:
    """What patching the head's output (its z) did to the recipient.

    effect: patch_effect in logits. score: patch_score, or None (or NaN) where the gap is too small for one.
    noise: the noise floor of such a patch. instruct_to_base: whose output went into whom.
    """

    effect: float
    score: float | None = None
    noise: float = 0.0
    instruct_to_base: bool = True


def head_sentence(
    report: HeadReport,
    position: int,
    patch: PatchEvidence | None = None,
    scores: Mapping[str, np.ndarray] | None = None,
) -> str:
    """The sentence for a chosen source position; scores: one head's, from `HeadScores.of`."""
    parts = [_looks(report), _attends(report, position), _writes(report, position)]
    if position == report.ov.position:
        parts.append(_copies(report.ov))
    if patch is not None:
        parts.append(_moves(patch))
    if scores is not None:
        parts.append(_known(scores))
    return f"{report.name} {'; '.join(part for part in parts if part)}."


def head_in_brief(report: HeadReport, patch: PatchEvidence | None = None) -> str:
    """What it looks at and what patching it does, alone: for a glance."""
    return f"{report.name} {'; '.join([_looks(report), *([] if patch is None else [_moves(patch)])])}."


def unseen(report: HeadReport) -> str:
    """What patches of its z cannot tell, in a sentence; "" where its W_O is the same in both models."""
    if not report.moved_output:
        return ""
    moved = f"Fine-tuning moved its W_O by {percent(report.moved_output)}"
    return f"{moved}: patches of its output (z) cannot see that, “result” does."


def _looks(report: HeadReport) -> str:
    """At which token most, in each model."""
    at = [_looked_at(report, row) for row in report.weight]
    values = [row[0] if _rests(row) else row[most_attended(row)] for row in report.weight]
    if at[0] == at[1]:
        said = f"looks {at[0]} in both models ({arrow(values)})"
    else:
        parts = (f"{where} in {m.upper()} ({unsigned(value)})" for where, m, value in zip(at, MODELS, values))
        said = f"looks {', '.join(parts)}"
    apart = any(row[0] > value >= LOOKS for row, value in zip(report.weight, values))
    return said + (", the first token apart" if apart else "")


def _looked_at(report: HeadReport, weight: np.ndarray) -> str:
    at = most_attended(weight)
    if _rests(weight):
        return "mostly at the first token"
    if weight[at] < LOOKS:
        return "at no one token"
    return f"most at {_token(report, at)}"


def _rests(weight: np.ndarray) -> bool:
    return bool(weight[0] >= RESTS and weight[most_attended(weight)] < LOOKS)


def _token(report: HeadReport, position: int) -> str:
    return "itself" if position == len(report.tokens) - 1 else quoted(report.tokens[position])


def _attends(report: HeadReport, position: int) -> str:
    """To the chosen source, where both numbers have not been said."""
    if all(position == most_attended(row) and row[position] >= LOOKS for row in report.weight):
        return ""
    said = f"attends from {quoted(report.tokens[-1])} to {_token(report, position)}"
    return f"{said}: {arrow(report.weight[:, position])}"


def _writes(report: HeadReport, position: int) -> str:
    along = "the difference" if report.projection == "own" else f"{report.projection.upper()}'s difference"
    whole, part = report.dla, report.written[:, position]
    return (
        f"writes {signed(whole[0])} → {signed(whole[1])} along {along}, "
        f"of it from that token {signed(part[0])} → {signed(part[1])}"
    )


def _copies(ov: OvCircuit) -> str:
    kinds = ov.kinds()
    word = quoted(ov.tokens[ov.position])
    claims = [(_KINDS[kind], model) for kind, model in zip(kinds, ("BASE", "INSTRUCT")) if kind in _KINDS]
    if not claims:
        return ""
    if len(claims) == 2 and kinds[0] == kinds[1]:
        said = f"{claims[0][0]} {word} itself in both models"
    else:
        said = " and ".join(f"{verb} {word} itself in {model}" for verb, model in claims)
        said += " only" if len(claims) == 1 else ""
    base, instruct = map(rank, ov.own_rank)
    return f"{_INPUTS[ov.ov_input]} {said} (rank {base} → {instruct} of {ov.vocab:,} by the direct path)"


def _moves(patch: PatchEvidence) -> str:
    recipient = "BASE" if patch.instruct_to_base else "INSTRUCT"
    if abs(patch.effect) <= patch.noise:
        return f"its output moves {recipient} by no more than the noise floor"
    if patch.score is None or isnan(patch.score):
        return f"its output moves {recipient}'s logit difference by {signed(patch.effect)}"
    said = f"its output moves {share(patch.score)} of the gap"
    return said if patch.instruct_to_base else f"{said} (BASE into INSTRUCT)"


def _known(scores: Mapping[str, np.ndarray]) -> str:
    said = [
        f"{_SCORES[name]} {arrow(value)}" for name, value in scores.items() if name in _SCORES and max(value) >= KNOWN
    ]
    return f"on random repeated tokens it scores {', '.join(said)}" if said else ""
