"""What two experiments, A and B, show when they stand beside each other: one sentence on their difference.

Differences are B − A. The sentences on each alone are those of `core.findings`. Plain text, for the page to escape.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.attention_results import Attention
from core.head.results import HeadReport
from core.patching.results import Sweep
from core.results import Attribution, Summary, head_name
from core.wording import arrow, quoted, share, signed, unsigned


def of_models(a: Summary, b: Summary) -> str:
    """How far the two logit differences and the gap lie apart."""
    base, instruct = (arrow((a.logit_diff[m], b.logit_diff[m]), plus=True) for m in range(2))
    return (
        f"From A to B the gap goes {arrow((a.gap, b.gap), plus=True)} ({signed(b.gap - a.gap)} logits): "
        f"BASE {base}, INSTRUCT {instruct}."
    )


def of_attribution(a: Attribution, b: Attribution) -> str:
    """The head and the layer whose change by fine-tuning differs most between A and B."""
    if a.head.shape != b.head.shape:
        return _totals(a, b)
    heads = [found.head[1] - found.head[0] for found in (a, b)]
    layer, head = _largest(heads[1] - heads[0])[:2]
    layers = {"attention": "attn", "MLP": "mlp"}
    changes = {kind: [getattr(f, name)[1] - getattr(f, name)[0] for f in (a, b)] for kind, name in layers.items()}
    kind = max(changes, key=lambda name: float(np.abs(changes[name][1] - changes[name][0]).max()))
    place = _largest(changes[kind][1] - changes[kind][0])[0]
    return (
        f"INSTRUCT − BASE of what is written directly differs most, of whole layers, in the {kind} of layer {place} "
        f"({_both(changes[kind][0][place], changes[kind][1][place])}), of heads in {head_name(layer, head)} "
        f"({_both(heads[0][layer, head], heads[1][layer, head])})."
    )


def _totals(a: Attribution, b: Attribution) -> str:
    gaps = [float(found.total[1] - found.total[0]) for found in (a, b)]
    return f"What all components write sums to a gap of {_both(*gaps)} logits."


def sweep_noise(a: Sweep, b: Sweep, in_logits: bool) -> np.ndarray:
    """(layer, column) what rounding alone makes of the difference of two sweeps' effects or scores: both noise floors
    in quadrature, each as a share of its own gap where scores are compared."""
    floors = [
        sweep.noise_floor / (1.0 if in_logits else abs(sweep.gap.donor - sweep.gap.recipient)) for sweep in (a, b)
    ]
    together: np.ndarray = np.hypot(*floors)
    return together


def of_patching(a: Sweep, b: Sweep, in_logits: bool) -> str:
    """The cell that moves the recipient most differently, of those that have run in both."""
    if a.logit_diff.shape != b.logit_diff.shape:
        return _furthest(a, b, in_logits)
    values = [sweep.effect if in_logits else sweep.score for sweep in (a, b)]
    difference, noise = values[1] - values[0], sweep_noise(a, b, in_logits)
    ran = np.isfinite(difference)
    if not ran.any():
        return "No patch has run in both yet."
    so_far = "" if ran.all() else f" (so far: {int(ran.sum()):,} of {ran.size:,} have run in both)"
    beyond = np.where(ran & ~(np.abs(difference) <= noise), difference, np.nan)
    if not np.isfinite(beyond).any():
        return f"No patch differs between A and B by more than rounding does{so_far}."
    place = _largest(beyond)
    said = " in A, ".join(_amount(float(value[place]), in_logits) for value in values)
    return f"Most different is {a.name(*place)}: alone it moves {said} in B{so_far}."


def _furthest(a: Sweep, b: Sweep, in_logits: bool) -> str:
    said = []
    for name, sweep in (("A", a), ("B", b)):
        if top := sweep.top(1):
            value = float((sweep.effect if in_logits else sweep.score)[top[0]])
            said.append(f"in {name} {sweep.name(*top[0])} moves {_amount(value, in_logits)}")
    return f"Furthest alone: {', '.join(said)}." if said else "No patch has run yet."


def _amount(value: float, in_logits: bool) -> str:
    return f"{signed(value)} logits" if in_logits else f"{share(value)} of the gap"


def of_attention(a: Attention, b: Attention, roles: Sequence[str]) -> str:
    """The head whose attention from END fine-tuning changes most differently in A and in B."""
    if a.weight.shape[1:3] != b.weight.shape[1:3]:
        tops = [(found, max(roles, key=lambda role: float(np.abs(found.change(role)).max()))) for found in (a, b)]
        said = [
            f"in {name} it is {head_name(*place)}'s to {_token(found, role)}, {signed(found.change(role)[place])}"
            for name, (found, role) in zip("AB", tops)
            for place in found.top_heads(role, 1)
        ]
        return f"Attention from END that differs most between the models: {', '.join(said)}."
    differences = {role: b.change(role) - a.change(role) for role in roles}
    role = max(differences, key=lambda name: float(np.abs(differences[name]).max()))
    place = _largest(differences[role])
    return (
        f"INSTRUCT − BASE of attention from END differs most in {head_name(*place)}: "
        f"{signed(a.change(role)[place])} to {_token(a, role)} in A, {signed(b.change(role)[place])} to "
        f"{_token(b, role)} in B."
    )


def _token(found: Attention, role: str) -> str:
    return quoted(found.tokens[found.roles[role]])


def of_head(a: HeadReport, b: HeadReport) -> str:
    """What the head attends to and writes, in INSTRUCT, in A and in B. The source is each report's own."""
    places = [report.ov.position for report in (a, b)]
    looks = [
        f"{quoted(report.tokens[at])} in {name} with {unsigned(report.weight[1, at])}"
        for name, report, at in zip("AB", (a, b), places)
    ]
    named = a.name if a.name == b.name else f"{a.name} in A, {b.name} in B"
    return (
        f"In INSTRUCT {named} attends from END to {', to '.join(looks)}; "
        f"INSTRUCT − BASE of what it writes along the difference is {_both(*(r.dla[1] - r.dla[0] for r in (a, b)))}."
    )


def _both(a: float, b: float) -> str:
    return f"{signed(a)} in A, {signed(b)} in B"


def _largest(values: np.ndarray) -> tuple[int, ...]:
    """The place of the largest magnitude."""
    at = np.unravel_index(int(np.nan_to_num(np.abs(values), nan=-1.0).argmax()), values.shape)
    return tuple(map(int, at))
