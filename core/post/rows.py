"""The post's tables and figures, row by row, beside the same here.

On the post's own pair a head is the same head, by name; elsewhere it is the one of the same rank in the same ranking.
A row agrees where it says the same of direction: the sign, the way a weight moves between the models, or the place
along the depth, give or take a tenth of it. Sizes are not compared: they are another model's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from core.post import numbers as post
from core.post.here import Here, Measured
from core.results import MODELS, group_name, head_name
from core.wording import ABSENT, share, signed, unsigned

Kind = Literal["logits", "share", "weight", "layer"]
STEPS = ("prompt", "layers", "heads", "outputs", "colon", "values", "where", "origin")
NEAR = 0.1  # of the depth
WEIGHT = 0.02  # attention that differs by less is said not to move
CARRIES = 1 / 3  # of what an output moves: a head whose weights move less mostly carries


@dataclass(frozen=True)
class Row:
    """One number of the post and the same here, NaN where there is none.

    low, high: its 95% interval over a set. post_head, here_head: whose it is, "" where no head's. agrees: None where
    one of both is not there.
    """

    step: str
    what: str
    kind: Kind
    post: float
    here: float
    post_head: str = ""
    here_head: str = ""
    low: float = float("nan")
    high: float = float("nan")
    agrees: bool | None = None


def rows_of(step: str, here: Here, own: bool) -> list[Row]:
    """The rows of a step. own: whether the pair is the post's, whose heads are then matched by name."""
    return list(_ROWS[step](here, own))


def every_row(here: Here, own: bool) -> list[Row]:
    return [row for step in STEPS for row in rows_of(step, here, own)]


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One row a number, all columns of `Row`."""
    columns = list(Row.__dataclass_fields__)
    return pd.DataFrame([[getattr(row, name) for name in columns] for row in rows], columns=columns)


def written(row: Row, layers: int) -> tuple[str, str]:
    """The post's number and ours as a person reads them, each with its head; layers: how many the models here have."""
    return _text(row.kind, row.post, row.post_head, post.LAYERS), _here(row, layers)


def _here(row: Row, layers: int) -> str:
    said = _text(row.kind, row.here, row.here_head, layers)
    if np.isnan(row.low):
        return said
    return f"{said} [{_text(row.kind, row.low)}, {_text(row.kind, row.high)}]"


def _text(kind: Kind, value: float, head: str = "", layers: int = 0) -> str:
    if np.isnan(value):
        return ABSENT
    if kind == "layer":
        return f"layer {int(value)} of {layers}"
    form: dict[Kind, Callable[[float], str]] = {"logits": signed, "share": share, "weight": unsigned}
    return form[kind](value) + (f" ({head})" if head else "")


def top_heads(here: Here, own: bool) -> list[post.Head]:
    """The heads of the post's table of output patches, or those of the same ranks here; none where none has run."""
    if own:
        return list(post.OUTPUT)
    found = here.score("z")
    return [] if found is None else _ranked(found.value, len(post.OUTPUT))


def suppressing(here: Here, own: bool) -> tuple[post.Head, post.Head] | None:
    """The head that writes most of INSTRUCT's difference, and the one that writes most against it."""
    if own:
        return post.SUPPRESSES, post.COMPETES
    if here.head is None:
        return None
    instruct = here.head.value[1]
    return _ranked(instruct, 1)[0], _ranked(-instruct, 1)[0]


def top_group(here: Here, own: bool) -> tuple[int, int] | None:
    """(layer, KV group) of the largest value patch."""
    if own:
        return post.GROUP[0][0], post.GROUP[0][1] // post.GROUP_SIZE
    found = here.score("v")
    return None if found is None else _ranked(found.value, 1)[0]


def _ranked(values: np.ndarray, count: int) -> list[tuple[int, int]]:
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), axis=None, kind="stable")[:count]
    return [(int(n // values.shape[1]), int(n % values.shape[1])) for n in order]


def _prompt(here: Here, own: bool) -> Iterator[Row]:
    for m, number in enumerate(post.LOGIT_DIFF):
        row = Row("prompt", f"logit difference, {MODELS[m].upper()}", "logits", number, float("nan"))
        yield _signs(_given(row, here.logit_diff, (m,)))


def _layers(here: Here, own: bool) -> Iterator[Row]:
    for name, layer in post.TOP_LAYER.items():
        found = here.attn if name == "attention" else here.mlp
        at = float("nan") if found is None else float(found.value[1].argmax())
        yield _places(Row("layers", f"strongest {name}", "layer", layer, at), here)


def _heads(here: Here, own: bool) -> Iterator[Row]:
    both = suppressing(here, own) or (None, None)
    for m, number in enumerate(post.DLA[post.SUPPRESSES]):
        label = f"writes most: share, {MODELS[m].upper()}"
        row = Row("heads", label, "logits", number, float("nan"), head_name(*post.SUPPRESSES))
        yield _signs(_given(row, here.head, both[0] and (m, *both[0]), both[0]))
    for named, place in zip((post.SUPPRESSES, post.COMPETES), both):
        label = "writes most" if named == post.SUPPRESSES else "writes against"
        found = (here.attention or {}).get("original")
        yield from _weights("heads", f"{label}: A(original)", post.A_ORIGINAL[named], named, found, place)


def _outputs(here: Here, own: bool) -> Iterator[Row]:
    found = here.score("z")
    for n, (head, place) in enumerate(_side_by_side(list(post.OUTPUT), top_heads(here, own)), 1):
        row = Row("outputs", f"{_ordinal(n)}: output patch", "share", post.OUTPUT[head], float("nan"), head_name(*head))
        yield _signs(_given(row, found, place, place))


def _colon(here: Here, own: bool) -> Iterator[Row]:
    heads = list(post.OUTPUT)
    found = (here.attention or {}).get("colon")
    for n, (head, place) in enumerate(_side_by_side(heads, top_heads(here, own)), 1):
        if head in post.A_COLON:
            yield from _weights("colon", f"{_ordinal(n)}: A(:)", post.A_COLON[head], head, found, place)


def _values(here: Here, own: bool) -> Iterator[Row]:
    group, size = top_group(here, own), here.group_size
    named = group_name(post.GROUP[0][0], post.GROUP[0][1] // post.GROUP_SIZE)
    row = Row("values", "values of one group", "share", post.VALUE, float("nan"), named)
    joint = _given(row, here.score("v"), group)
    joint = _signs(replace(joint, here_head="" if group is None else group_name(*group)))
    yield joint
    nothing = Row("values", "", "share", float("nan"), float("nan"))
    for site, what in {"z": "its heads' best output", "value_only": "its heads' best values"}.items():
        found, place = here.score(site), None
        if found is not None and group is not None:
            heads = found.value[group[0], group[1] * size : (group[1] + 1) * size]
            place = (group[0], group[1] * size + int(heads.argmax()))
        made = _given(replace(nothing, what=what), found, place, place)
        if site == "z":
            # The post: the output patches of these heads lie below their value patch.
            below = max(post.OUTPUT.get(head, 0.0) for head in post.GROUP)
            best = head_name(*max(post.GROUP, key=lambda head: post.OUTPUT.get(head, 0.0)))
            agrees = None if np.isnan(made.here + joint.here) else bool(made.here < joint.here)
            made = replace(made, post=below, post_head=best, agrees=agrees)
        yield made


def _where(here: Here, own: bool) -> Iterator[Row]:
    for role, band in post.BANDS.items():
        found = (here.attention or {}).get(role)
        ours = None if found is None else band_of(found)
        for n, edge in enumerate(("first", "last")):
            at = float("nan") if ours is None else float(ours[n])
            what = f"A({':' if role == 'colon' else role}) differs: {edge}"
            yield _places(Row("where", what, "layer", band[n], at), here)


def band_of(found: Measured) -> tuple[int, int] | None:
    """The shortest run of layers that holds half of the models' difference in attention."""
    from core.attention_results import LayerChange

    change = found.value[1] - found.value[0]
    return LayerChange(np.abs(change).mean(-1), change.mean(-1), "").band()


def _origin(here: Here, own: bool) -> Iterator[Row]:
    output, changed = here.score("z"), here.score("w_head")
    for n, (head, place) in enumerate(_side_by_side(list(post.OUTPUT), top_heads(here, own)), 1):
        row = Row("origin", f"{_ordinal(n)}: output", "share", post.OUTPUT[head], float("nan"), head_name(*head))
        yield _signs(_given(row, output, place, place))
        row = Row("origin", f"{_ordinal(n)}: own weights", "share", float("nan"), float("nan"))
        yield _given(row, changed, place, place)


_ROWS: dict[str, Callable[[Here, bool], Iterator[Row]]] = {
    "prompt": _prompt,
    "layers": _layers,
    "heads": _heads,
    "outputs": _outputs,
    "colon": _colon,
    "values": _values,
    "where": _where,
    "origin": _origin,
}


def _given(row: Row, found: Measured | None, at: tuple[int, ...] | None, head: post.Head | None = None) -> Row:
    """The row with what was measured at a place, where it was."""
    if found is None or at is None or any(n >= size for n, size in zip(at, found.value.shape)):
        return row
    low, high = found.interval(at)
    name = "" if head is None else head_name(*head)
    return replace(row, here=float(found.value[at]), low=low, high=high, here_head=name)


def _signs(row: Row) -> Row:
    if np.isnan(row.here):
        return row
    return replace(row, agrees=bool((row.post > 0) == (row.here > 0)))


def _places(row: Row, here: Here) -> Row:
    if np.isnan(row.here) or here.layers < 2:
        return row
    apart = row.post / (post.LAYERS - 1) - row.here / (here.layers - 1)
    return replace(row, agrees=bool(abs(apart) <= NEAR))


def _weights(
    step: str, what: str, pair: post.Pair, named: post.Head, found: Measured | None, place: post.Head | None
) -> Iterator[Row]:
    """A head's attention in both models; both rows agree where it moves the same way."""
    rows = [
        _given(
            Row(step, f"{what}, {model.upper()}", "weight", number, float("nan"), head_name(*named)),
            found,
            place and (m, *place),
            place,
        )
        for m, (model, number) in enumerate(zip(MODELS, pair))
    ]
    moved = rows[1].here - rows[0].here
    if not np.isnan(moved):
        alike = bool(abs(moved) >= WEIGHT and (moved > 0) == (pair[1] > pair[0]))
        rows = [replace(row, agrees=alike) for row in rows]
    yield from rows


def _side_by_side(heads: list[post.Head], places: list[post.Head]) -> list[tuple[post.Head, post.Head | None]]:
    return [(head, places[n] if n < len(places) else None) for n, head in enumerate(heads)]


def _ordinal(n: int) -> str:
    return f"{n}{({1: 'st', 2: 'nd', 3: 'rd'}).get(n, 'th')} head"
