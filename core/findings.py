"""What a page shows, in one sentence made from its numbers; where nothing stands out it says that.

Signs and normalisation are those of the results: a gap is INSTRUCT − BASE, a score a share of it. Tokens in a sentence
are the viewer's input: plain text, for the page to escape. The sentence of one head is `core.head.sentence`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.attention_results import Attention, most_attended
from core.neuron_results import NeuronPatches, Neurons
from core.patching.gap import MIN_GAP
from core.patching.origin_results import EarlyLate
from core.patching.plan import unit
from core.patching.results import Sweep
from core.results import MODELS, Attribution, Depth, Summary, head_name
from core.wording import arrow, quoted, share, signed, unsigned

# Below these nothing is said to stand out: shares of the gap, and differences of attention weights.
SHARE = 0.03
WEIGHT = 0.05
MOST = 0.9  # of the gap, that the first layers shall give
FEW, FURTHEST = 6, 8  # heads: how many are named one by one, and of how many it is said whether they only carry
LOOKS = 0.1  # the least attention weight that is called looking
# site → (what is patched, its verb); the name is a head's, a KV group's or a layer's number
_PATCHED = {
    "z": ("{} alone", "moves"),
    "result": ("{} alone, through the donor's W_O,", "moves"),
    "pattern": ("the attention pattern of {} alone", "moves"),
    "pattern_only": ("the attention pattern of {} alone", "moves"),
    "value_only": ("the values that {} reads alone", "move"),
    "q": ("the queries of {} alone", "move"),
    "k": ("the keys of {} alone", "move"),
    "v": ("the values of {} alone", "move"),
    "attn_out": ("the attention of layer {} alone", "moves"),
    "mlp_out": ("the MLP of layer {} alone", "moves"),
    "resid_pre": ("the residual stream before layer {} alone", "moves"),
    "resid_mid": ("the residual stream within layer {} alone", "moves"),
    "w_q": ("the changed W_Q of {} alone", "moves"),
    "w_k": ("the changed W_K of {} alone", "moves"),
    "w_v": ("the changed W_V of {} alone", "moves"),
    "w_o": ("the changed W_O of {} alone", "moves"),
    "w_qk": ("the changed W_Q and W_K of {} alone", "move"),
    "w_ov": ("the changed W_V and W_O of {} alone", "move"),
    "w_head": ("the changed weights of {} alone", "move"),
    "w_attn": ("the changed attention weights of layer {} alone", "move"),
    "w_mlp": ("the changed MLP weights of layer {} alone", "move"),
    "w_layer": ("the changed weights of layer {} alone", "move"),
    "joint_z": ("{} alone", "moves"),
    "joint_value_only": ("the values of {} alone", "move"),
    "joint_pattern_only": ("the attention patterns of {} alone", "move"),
}
_KINDS = {"head": "head", "group": "KV group", "layer": "layer"}


def of_models(summary: Summary, answer: str, original: str) -> str:
    """What BASE and INSTRUCT prefer, and how far fine-tuning moved that: always these three numbers, in this order."""
    base, instruct = map(float, summary.logit_diff)
    preferred = [quoted(answer if difference > 0 else original) for difference in (base, instruct)]
    if preferred[0] == preferred[1]:
        said = f"Both models prefer {preferred[0]} (BASE {signed(base)}, INSTRUCT {signed(instruct)})"
    else:
        said = f"BASE prefers {preferred[0]} ({signed(base)}), INSTRUCT {preferred[1]} ({signed(instruct)})"
    moved = f"fine-tuning moved the logit difference by {signed(summary.gap)}"
    if abs(summary.gap) < MIN_GAP:
        return f"{said}: {moved}, too little to share out."
    if summary.gap < 0:
        return f"{said}: {moved}, away from {quoted(answer)}."
    return f"{said}: {moved}" + (f", not enough for {quoted(answer)}." if instruct < 0 else ".")


def of_attribution(found: Attribution) -> str:
    """The head and the layer whose direct share differs most between the models."""
    gap = float(found.total[1] - found.total[0])
    row = found.top_heads(1).iloc[0]
    kind, layer, change = _largest_layer(found)
    whole = f"the {kind} of layer {layer} ({signed(change)})"
    if abs(row["change"]) < SHARE * max(abs(gap), MIN_GAP):
        return (
            f"No head stands out: the most that one writes differently is {signed(row['change'])} of a gap of "
            f"{signed(gap)} logits ({row['name']}); of whole layers, {whole} differs most."
        )
    values = arrow((row["base"], row["instruct"]), plus=True)
    return (
        f"{row['name']} writes {values} logits directly (BASE → INSTRUCT), {signed(row['change'])} of a gap of "
        f"{signed(gap)}: the most of all heads. Of whole layers, {whole} differs most."
    )


def of_depth(found: Depth) -> str:
    """Where along the depth each model's answer overtakes the original for good."""
    answer, original = quoted(found.answer), quoted(found.original)
    places = [found.overtakes(m) for m in range(len(MODELS))]
    if places == [None, None]:
        return f"Read off at any depth, {answer} ends below {original} in both models."
    said = []
    for name, place in zip(("BASE", "INSTRUCT"), places):
        if place is None:
            said.append(f"in {name} it ends below it")
        elif place == 0:
            said.append(f"in {name} it is above it from the embedding on")
        else:
            said.append(f"in {name} it overtakes it for good {found.names[place]}")
    return f"Read off along the depth, {answer} against {original}: {'; '.join(said)}."


def of_neurons(found: Neurons, patches: NeuronPatches | None) -> str:
    """The neuron whose direct share differs most, and how much of their layer's effect the first ones give."""
    said = (
        f"Neuron {int(found.neuron[0])} of layer {found.layer} writes {arrow(found.direct[:, 0], plus=True)} logits "
        f"directly (BASE → INSTRUCT), the whole MLP {arrow(found.total, plus=True)}."
    )
    if patches is None:
        return said
    recipient, donor = _runs(patches.gap.direction)
    whole = (
        f"{donor}'s activations of all {found.of:,} neurons at once move {recipient} by {signed(patches.effect[-1])}"
    )
    if not np.isfinite(patches.of_layer[-1]):
        return f"{said} {whole}, no more than rounding does."
    sizes, shares = patches.sizes[:-1], patches.of_layer[:-1]
    first = ", ".join(f"{share(float(part))} by the first {size}" for size, part in zip(sizes, shares))
    return f"{said} {whole}; of that {first}."


def _largest_layer(found: Attribution) -> tuple[str, int, float]:
    changes = {"attention": found.attn[1] - found.attn[0], "MLP": found.mlp[1] - found.mlp[0]}
    kind = max(changes, key=lambda name: float(np.abs(changes[name]).max()))
    layer = int(np.abs(changes[kind]).argmax())
    return kind, layer, float(changes[kind][layer])


def of_patching(sweep: Sweep, attention: Attention | None = None, estimate: Sweep | None = None) -> str:
    """The place that moves the recipient furthest towards the donor, of those that have run; before any, as estimated.

    attention: for where a head looks in the donor.
    """
    if not sweep.done:
        if estimate is None:
            return "No patch has run yet."
        return f"As one backward pass estimates it, {_furthest(estimate, attention)}."
    said = _furthest(sweep, attention)
    so_far = "" if sweep.complete else f" (so far: {sweep.done:,} of {sweep.total:,} have run)"
    return f"{said[0].upper()}{said[1:]}{so_far}."


def _furthest(sweep: Sweep, attention: Attention | None) -> str:
    recipient, donor = _runs(sweep.gap.direction)
    kind = _KINDS[unit(sweep.site)]
    beyond = [place for place in sweep.top() if not sweep.within_noise[place] and sweep.towards_donor[place] > 0]
    if not beyond:
        return f"no {kind} alone moves {recipient} towards {donor} by more than rounding does"
    layer, column = place = beyond[0]
    effect, score = float(sweep.effect[place]), float(sweep.score[place])
    subject, verb = _PATCHED[sweep.site]
    name = str(layer) if kind == "layer" else sweep.name(layer, column)
    if sweep.gap.reason:
        return f"{subject.format(name)} {verb} {recipient}'s logit difference by {signed(effect)}, the most of all"
    if score < SHARE:
        return f"no {kind} alone moves more than {share(score)} of the gap ({name})"
    said = f"{subject.format(name)} {verb} {share(score)} of the gap"
    if kind == "head" and attention is not None:
        said += f"; it looks at {_looks(attention, MODELS.index(donor.lower()), layer, column)}"
    return said


def of_origin(changed: Sweep, patched: Sweep, depth: EarlyLate | None = None) -> str:
    """Whether the heads whose outputs move the recipient furthest were changed themselves, as far as both have run.

    changed: the weights of single heads; patched: their outputs; depth: where along the layers the change sits.
    """
    ran = np.isfinite(changed.logit_diff) & np.isfinite(patched.logit_diff)
    if not ran.any():
        return "No patch has run yet."
    least = 0 if patched.gap.reason else SHARE * abs(patched.gap.donor - patched.gap.recipient)
    moving = [
        place
        for place in patched.top()
        if ran[place] and patched.towards_donor[place] > least and not patched.within_noise[place]
    ]
    said = _changed_or_carried(changed, patched, moving) + _by_depth(depth)
    so_far = "" if changed.complete and patched.complete else f" (So far: {ran.sum():,} of {ran.size:,} heads.)"
    return f"{said}{so_far}"


def _changed_or_carried(changed: Sweep, patched: Sweep, moving: list[tuple[int, int]]) -> str:
    recipient, donor = _runs(patched.gap.direction)
    own = [(int(layer), int(head)) for layer, head in np.argwhere(np.abs(changed.effect) > changed.noise_floor)]
    names = [head_name(*place) for place in own]
    if changed.complete and not own:
        return f"No head's own weights move {recipient}: whatever its heads show is carried from elsewhere."
    if changed.complete and len(own) <= min(FEW, changed.total // 2):
        carry = len([place for place in moving if place not in own])
        move, their = ("moves", "its") if len(own) == 1 else ("move", "their")
        said = f"Of {changed.total} heads only {_listed(names)} {move} {recipient} by {their} own changed weights"
        return f"{said}; {carry} more only by outputs, which carry what was changed elsewhere." if carry else f"{said}."
    if not moving:
        return f"No head's output alone moves {recipient} far towards {donor}."
    first = moving[0]
    by_output, by_weights = (_amount(sweep, first) for sweep in (patched, changed))
    whole = " logits" if patched.gap.reason else " of the gap"
    said = f"{head_name(*first)} moves {by_output}{whole} by its output, {by_weights} by its own changed weights."
    moving = moving[:FURTHEST]
    carry = sum(changed.towards_donor[place] < patched.towards_donor[place] / 3 for place in moving)
    if len(moving) == 1:
        return said
    furthest = f"{carry} of the {len(moving)} that move {recipient} furthest"
    return f"{said} {furthest} mostly carr{'ies' if carry == 1 else 'y'} what was changed elsewhere."


def _amount(sweep: Sweep, place: tuple[int, int]) -> str:
    if sweep.gap.reason:
        return signed(float(sweep.effect[place]))
    return share(float(sweep.score[place]))


def _by_depth(depth: EarlyLate | None) -> str:
    """The first layers of INSTRUCT that give BASE most of the gap, and what its others give alone."""
    if depth is None or depth.gap.reason or not (depth.there.complete and depth.back.complete):
        return ""
    enough = np.flatnonzero(depth.up_to >= MOST)
    last = len(depth.up_to) - 1
    if not len(enough):
        return f" INSTRUCT's layers below {last} give BASE {share(float(depth.up_to[last]))} of the gap: it takes all."
    at = max(int(enough[0]), 1)
    early, late = (share(float(values[at])) for values in (depth.up_to, depth.onwards))
    give = "gives" if at == 1 else "give"
    return f" INSTRUCT's {_layers(0, at - 1)} alone {give} {early} of the gap, {_layers(at, last)} {late}."


def _layers(first: int, last: int) -> str:
    return f"layer {first}" if first == last else f"layers {first}–{last}"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _runs(direction: str) -> tuple[str, str]:
    """(recipient, donor)"""
    return ("BASE", "INSTRUCT") if direction == "instruct_to_base" else ("INSTRUCT", "BASE")


def _looks(attention: Attention, model: int, layer: int, head: int) -> str:
    """What a head attends to most from END, the first token apart, where heads rest; and whether it leaves out the
    original."""
    weight = attention.weight[model, layer, head]
    place = most_attended(weight)
    original = attention.roles.get("original")
    if weight[place] < LOOKS:
        said = "the first token, where heads rest" if weight[0] >= 0.5 else "no one token"
    elif place == len(weight) - 1:
        said = f"{quoted(attention.tokens[place])}, the last token itself"
    else:
        said = quoted(attention.tokens[place])
    if original is None or original == place or weight[original] >= LOOKS:
        return said
    return f"{said}, not at {quoted(attention.tokens[original])}"


def of_attention(found: Attention, roles: Sequence[str]) -> str:
    """The heads whose attention from END to each of the roles differs most between the models, the largest first."""
    best = [(role, found.top_heads(role, 1)[0]) for role in roles]
    best.sort(key=lambda at: -abs(float(found.change(at[0])[at[1]])))
    end = quoted(found.tokens[found.roles["end"]])
    role, place = best[0]
    largest = abs(float(found.change(role)[place]))
    if largest < WEIGHT:
        names = " or ".join(quoted(found.tokens[found.roles[role]]) for role in roles)
        return f"From {end} no head's attention to {names} differs by more than {unsigned(largest)} between the models."
    parts = [
        f"to {quoted(found.tokens[found.roles[role]])} it is {head_name(*place)}'s, {arrow(found.at(role)[:, *place])}"
        for role, place in best[1:]
        if abs(float(found.change(role)[place])) >= WEIGHT
    ]
    first = (
        f"From {end}, {head_name(*place)}'s attention to {quoted(found.tokens[found.roles[role]])} differs most: "
        f"{arrow(found.at(role)[:, *place])} (BASE → INSTRUCT)"
    )
    return f"{'; '.join([first, *parts])}."
