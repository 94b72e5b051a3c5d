"""What direct and indirect effects and the norm-matched null say, in sentences: of one head, and of all. Plain text."""

from __future__ import annotations

import numpy as np

from core.head.control_results import HeadControls
from core.patching.control_results import Effects
from core.wording import brief, share, signed

LEAST = 0.05  # logits: smaller effects are not counted
NAMED = 3


def of_effects(found: Effects) -> str:
    """How many heads (or layers) act against what they write directly, and in which later components take it back."""
    recipient, kind = _recipient(found.total.gap.direction), found.total.unit
    moving = np.abs(found.total.effect) > LEAST
    said = f"No {kind} moves {recipient} by more than {LEAST} logits."
    if moving.any():
        count, against = int(moving.sum()), int((found.reversed & moving).sum())
        some = f"the one {kind} that moves" if count == 1 else f"the {count:,} {kind}s that move"
        do_so = (
            "1 does so against the sign of what it writes"
            if against == 1
            else (f"{against:,} do so against the sign of what they write")
        )
        said = f"Of {some} {recipient} by more than {LEAST} logits, {do_so} directly."
    writing = found.repaired & (np.abs(found.direct.frozen) > LEAST)
    so_far = "" if found.total.complete else f" (So far: {found.total.done:,} of {found.total.total:,} have run.)"
    return f"{said} {_repaired(found, writing)}{so_far}"


def _repaired(found: Effects, writing: np.ndarray) -> str:
    if not writing.any():
        return "Nowhere is most of a direct effect taken back by what comes after."
    size = np.where(writing, np.abs(found.direct.frozen), 0)
    order = np.argsort(-size, axis=None, kind="stable")[: min(NAMED, int(writing.sum()))]
    places = [(int(layer), int(column)) for layer, column in zip(*np.unravel_index(order, size.shape))]
    named = [
        f"{found.total.name(*at)} ({signed(float(found.direct.frozen[at]))} logits directly, "
        f"{signed(float(found.total.effect[at]))} in all)"
        for at in places
    ]
    most = "" if writing.sum() <= NAMED else "most of all "
    return f"Self-repair, most of a direct effect taken back by what comes after, in {writing.sum():,}: {most}" + (
        f"{', '.join(named)}."
    )


def of_head(found: HeadControls) -> str:
    """What of the patch is direct, and what later components and the norms' scales make of it."""
    said = (
        f"{found.name} moves {_recipient(found.direction)} by {signed(found.frozen)} logits directly, "
        f"by {signed(found.total)} in all"
    )
    if found.reversed:
        return f"{said}: what comes after it turns the sign round."
    if found.repaired:
        # Past all of it lies what rounding may have moved.
        back = min(found.indirect / -found.frozen, 1.0)
        return f"{said}: self-repair, what comes after it takes back {share(back)} of its direct effect."
    return f"{said}: {signed(found.indirect)} is made of it by later components and by the norms' scales."


def of_null(found: HeadControls) -> str:
    """Where the score lies among random changes of the same size."""
    where = "within" if found.within_null else "outside"
    return f"{_draws(found)} move {_span(found)}; its own {_amounts(found, found.total)} lies {where}."


def doubt(found: HeadControls) -> str:
    """Why the score says nothing of the content; empty where nothing is against it."""
    recipient = _recipient(found.direction)
    if found.within_noise:
        return (
            f"{found.name} moves {recipient} by no more than the noise floor ({brief(found.noise_floor)} logits): "
            "rounding alone moves as much."
        )
    if found.within_null:
        return (
            f"{found.name} moves {recipient} by {_amounts(found, found.total)}, within the range of {_draws(found)} "
            f"({_span(found)}): it says nothing of the content."
        )
    return ""


def _recipient(direction: str) -> str:
    return "BASE" if direction == "instruct_to_base" else "INSTRUCT"


def _draws(found: HeadControls) -> str:
    return f"{found.null.logit_diff.shape[1]} random changes of the same size"


def _span(found: HeadControls) -> str:
    return _amounts(found, *found.null.span[0])


def _amounts(found: HeadControls, *effects: float) -> str:
    """As shares of the gap, with a decimal since draws move little; in logits where there is no such share."""
    in_logits = found.null.gap.reason is not None
    amounts = sorted(effects if in_logits else (100 * found.of_gap(np.array(effects))).tolist())
    digits, sign, unit = (2, "", " logits") if in_logits else (1, "%", " of the gap")
    return " to ".join(f"{signed(float(amount), digits)}{sign}" for amount in amounts) + unit
