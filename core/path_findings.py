"""What reaches a head, in one sentence made from its paths; where nothing stands out it says that."""

from __future__ import annotations

import numpy as np

from core.findings import SHARE
from core.patching.path_results import PARTS, Paths
from core.results import head_name
from core.wording import share, signed

NAMED = 3
_INPUTS = {"q": "queries", "k": "keys", "v": "values"}


def of_paths(found: Paths) -> str:
    """The strongest single paths into the receiver's q, k and v together, and what each of the three sums to."""
    receiver = head_name(*found.receiver)
    if not found.done:
        return "No path has run yet."
    so_far = "" if found.complete else f" (so far: {found.done:,} of {found.total:,} have run)"
    paths = [(part, n) for part in PARTS for n in found.strongest(part, NAMED)]
    paths.sort(key=lambda path: -abs(_at(found, found.effect, *path)))
    if not paths:
        return f"No single path into {receiver} moves the logit difference by more than rounding does{so_far}."
    named = [
        f"{found.senders[n].name} into its {_INPUTS[part]} ({_moved(found, part, n)})" for part, n in paths[:NAMED]
    ]
    said = f"Of all single paths into {receiver} these move most of the gap: {', '.join(named)}"
    if found.gap.reason:
        said = f"Of all single paths into {receiver} these move most: {', '.join(named)}"
    elif abs(_at(found, found.score, *paths[0])) < SHARE:
        said = f"No single path into {receiver} moves {share(SHARE)} of the gap; most come from {', '.join(named)}"
    return f"{said}{so_far}."


def sums(found: Paths) -> str:
    """What the single paths of each part add up to, where all of them have run."""
    single = [n for n, sender in enumerate(found.senders) if sender.kind != "attn"]
    added = found.score[:, single].sum(1) if not found.gap.reason else found.effect[:, single].sum(1)
    return ", ".join(f"{part} {signed(float(value))}" for part, value in zip(PARTS, added) if np.isfinite(value))


def _moved(found: Paths, part: str, n: int) -> str:
    if found.gap.reason:
        return f"{signed(_at(found, found.effect, part, n))} logits"
    return share(_at(found, found.score, part, n))


def _at(found: Paths, values: np.ndarray, part: str, n: int) -> float:
    return float(values[PARTS.index(part), n])
