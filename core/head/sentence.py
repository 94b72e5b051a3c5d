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

from core.head.results import HeadReport, OvCircuit
from core.wording import arrow, rank, share, signed

# Mean attention on random repeated tokens from which a score is worth a word: most of what a head attends to.
KNOWN = 0.5
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
    parts = [_attends(report, position), _writes(report, position)]
    if position == report.ov.position:
        parts.append(_copies(report.ov))
    if patch is not None:
        parts.append(_moves(patch))
    if scores is not None:
        parts.append(_known(scores))
    return f"{report.name} {'; '.join(part for part in parts if part)}."


def shown(token: str) -> str:
    """A token in a sentence: without its space, signs in quotes, a blank one as visible marks."""
    word = token.strip()
    if word and not any(map(str.isalnum, word)):
        return f"“{word}”"
    return word or token.replace("\n", "⏎").replace(" ", "␣") or "(empty)"


def _attends(report: HeadReport, position: int) -> str:
    end = len(report.tokens) - 1
    target = "itself" if position == end else shown(report.tokens[position])
    return f"attends from {shown(report.tokens[end])} to {target}: {arrow(report.weight[:, position])}"


def _writes(report: HeadReport, position: int) -> str:
    along = "the difference" if report.projection == "own" else f"{report.projection.upper()}'s difference"
    whole, part = report.dla, report.written[:, position]
    return (
        f"writes {signed(whole[0])} → {signed(whole[1])} along {along}, "
        f"of it from that token {signed(part[0])} → {signed(part[1])}"
    )


def _copies(ov: OvCircuit) -> str:
    kinds = ov.kinds()
    word = shown(ov.tokens[ov.position])
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
