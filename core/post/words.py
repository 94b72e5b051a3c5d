"""What agrees with the post, in a sentence a step; plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.post.here import Here
from core.post.rows import CARRIES, Row, band_of, suppressing, top_group, top_heads
from core.results import group_name, head_name
from core.wording import arrow, share, signed

NOT_YET = "Not computed yet for these models."


def sentence(step: str, here: Here, own: bool) -> str:
    """What a step shows here, and whether that is what the post says."""
    if here.reason and step in ("outputs", "colon", "values", "origin"):
        return f"Nothing to compare: {here.reason}."
    return _SENTENCES[step](here, own)


def matched(own: bool) -> str:
    """How heads are matched."""
    if own:
        return "This is the post's own pair: heads are matched by name."
    return "These are other models than the post's: heads are matched by their rank, and only directions are compared."


def tally(rows: Sequence[Row]) -> str:
    """How many rows agree."""
    told = [row for row in rows if row.agrees is not None]
    if not told:
        return NOT_YET
    return f"{sum(bool(row.agrees) for row in told)} of {len(told)} rows point the same way as in the post."


def _prompt(here: Here, own: bool) -> str:
    base, instruct = map(float, here.logit_diff.value)
    numbers = f"BASE {signed(base)}, INSTRUCT {signed(instruct)}"
    if base < 0 < instruct:
        return f"As in the post: BASE prefers to repeat the word, INSTRUCT to replace it ({numbers})."
    if instruct > base:
        which = "both models prefer to replace it" if base > 0 else "both still prefer to repeat it"
        return f"As in the post fine-tuning moves the difference up, but here {which} ({numbers})."
    return f"Unlike in the post: fine-tuning moves the difference down ({numbers})."


def _layers(here: Here, own: bool) -> str:
    if here.attn is None or here.mlp is None:
        return NOT_YET
    attention, mlp = (int(found.value[1].argmax()) for found in (here.attn, here.mlp))
    last = here.layers - 1
    late = [layer / last > 0.75 for layer in (attention, mlp)] if last else [True, True]
    said = f"the attention of layer {attention} and the MLP of layer {mlp}, of {here.layers}"
    if all(late):
        return f"As in the post it is written late: most by {said}."
    if any(late):
        return f"Half as in the post: INSTRUCT's difference is written most by {said}; only one of the two is late."
    return f"Unlike in the post it is not written late: most by {said}."


def _heads(here: Here, own: bool) -> str:
    both = suppressing(here, own)
    if here.head is None or both is None:
        return NOT_YET
    place = both[0]
    name, values = head_name(*place), here.head.value[:, *place]
    said = f"{name} writes {arrow(values, plus=True)} (BASE → INSTRUCT)"
    found = (here.attention or {}).get("original")
    if found is None:
        return f"{said}; this prompt has no original word to look at."
    looks = found.value[:, *place]
    weights = f"its attention to the original goes {arrow(looks)}"
    if values[1] > values[0] and looks[1] > looks[0] and looks[1] >= 0.1:
        return f"As in the post: {said}, and {weights}. It looks at the word and writes against it, more in INSTRUCT."
    if values[1] > values[0]:
        return (
            f"{said}, more in INSTRUCT as in the post; but {weights}, so it is no copy suppression by the post's sign."
        )
    return f"Unlike in the post: {said}; {weights}."


def _outputs(here: Here, own: bool) -> str:
    found, places = here.score("z"), top_heads(here, own)
    if found is None or not places:
        return NOT_YET
    values = [float(found.value[place]) for place in places]
    first, second = values[:2]
    named = f"{head_name(*places[0])} moves {share(first)} of the gap, the next {share(second)}"
    if first <= 0.03:
        return f"Unlike in the post no head stands out: {named}."
    shape = "one head far ahead" if first > 2 * second else "several heads alike"
    alike = "As in the post" if first > 2 * second else "In the post one head is far ahead; here"
    joint = ":" if first > 2 * second else f" {shape}:"
    return f"{alike}{joint} {named}. None alone comes near the whole."


def _colon(here: Here, own: bool) -> str:
    found, places = (here.attention or {}).get("colon"), top_heads(here, own)
    if found is None:
        return "This prompt has no “:” to look at." if here.attention is not None else NOT_YET
    if not places:
        return NOT_YET
    moved = [float(found.value[1][place] - found.value[0][place]) for place in places[1:]]
    many = sum(abs(change) >= 0.1 for change in moved)
    if not many:
        return f"Unlike in the post: none of the {len(moved)} heads after the first attends to “:” differently."
    up = sum(change >= 0.1 for change in moved)
    said = f"{many} of {len(moved)} heads after the first attend to “:” differently by 0.1 or more, {up} of them more"
    return f"{'As in the post, ' if many > len(moved) / 2 else 'Less than in the post: '}{said} in INSTRUCT."


def _values(here: Here, own: bool) -> str:
    group = top_group(here, own)
    joint, single, output = (here.score(site) for site in ("v", "value_only", "z"))
    if group is None or joint is None or output is None:
        return NOT_YET
    heads = slice(group[1] * here.group_size, (group[1] + 1) * here.group_size)
    value, best = float(joint.value[group]), float(output.value[group[0], heads].max())
    name = group_name(*group)
    said = f"the values of {name} move {share(value)} of the gap, the best output of its heads {share(best)}"
    said = f"As in the post {said}" if value > best else f"Unlike in the post {said}"
    if here.group_size == 1:
        return f"{said}; no two heads share values here, so that is like with like."
    if single is None:
        return f"{said}."
    values = single.value[group[0], heads]
    alone, total = float(values.max()), float(values.sum())
    verdict = "the contrast is gone" if alone <= best else "the contrast stays"
    return (
        f"{said}. But that sets {here.group_size} heads against one. Like with like, one head's own values move "
        f"{share(alone)} at most ({share(total)} summed): {verdict}."
    )


def _where(here: Here, own: bool) -> str:
    if not here.attention:
        return NOT_YET
    names = {"colon": "“:”", "original": "the original"}
    bands = {role: band_of(here.attention[role]) for role in names if role in here.attention}
    said = [f"{names[role]} in {_layers_of(*band)}" for role, band in bands.items() if band is not None]
    if not said:
        return "Unlike in the post the models attend alike."
    order = ""
    if bands.get("colon") and bands.get("original"):
        earlier = sum(bands["colon"] or ()) < sum(bands["original"] or ())
        order = "; as in the post “:” comes first" if earlier else "; unlike in the post “:” does not come first"
    return f"Half of the models' difference in attention lies for {' and for '.join(said)}, of {here.layers}{order}."


def _layers_of(first: int, last: int) -> str:
    return f"layer {first}" if first == last else f"layers {first}–{last}"


def _origin(here: Here, own: bool) -> str:
    output, changed, places = here.score("z"), here.score("w_head"), top_heads(here, own)
    if output is None or changed is None or not places:
        return NOT_YET
    moving = [place for place in places if output.value[place] > 0]
    carry = [place for place in moving if changed.value[place] < CARRIES * output.value[place]]
    first = places[0]
    said = (
        f"{head_name(*first)} moves {share(float(output.value[first]))} by its output and "
        f"{share(float(changed.value[first]))} by its own changed weights"
    )
    if first in carry:
        said += ": it mostly carries what was changed elsewhere"
    verb = "carries" if len(carry) == 1 else "carry"
    return f"{said}. Of these {len(moving)} heads {len(carry)} mostly {verb}, which the post's patches cannot tell."


_SENTENCES: dict[str, Callable[[Here, bool], str]] = {
    "prompt": _prompt,
    "layers": _layers,
    "heads": _heads,
    "outputs": _outputs,
    "colon": _colon,
    "values": _values,
    "where": _where,
    "origin": _origin,
}
