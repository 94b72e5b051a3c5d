"""Frozen patterns: the recipient's own attention patterns in place of those that a patched run would have.

What a patch moves is then what it moves through values alone: no head looks elsewhere because of it. Held are the
patterns of all rows in every layer from where they join, but for those that a patch itself decides: of heads whose
pattern, q or k is patched, or the weights that make them. Such a pattern is what the row's own stream makes of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from core.patching.plan import Patch, Row, Shape
from core.patching.weights import Weights

# Of a query head, of a KV group, of all heads of a layer.
_OF_HEAD = {"pattern": (), "q": (), "w_q": ("q",), "w_qk": ("q", "k"), "w_head": ("q", "k")}
_OF_GROUP = {"k": (), "w_k": ("k",)}
_OF_LAYER = ("w_attn", "w_layer")

Decided = Mapping[int, list[tuple[int, int]]]


def decided(rows: Iterable[tuple[int, Row]], weights: Weights, shape: Shape) -> Decided:
    """layer → the (row, head) cells whose pattern a patch of the row decides."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, row in rows:
        for patch in row:
            found[patch.layer] += [(number, head) for head in _heads(patch, weights, shape)]
    return found


def _heads(patch: Patch, weights: Weights, shape: Shape) -> Iterable[int]:
    """Equal weights decide nothing: where they lie in a set, the pattern is held like any other."""
    parts = _OF_HEAD.get(patch.site, _OF_GROUP.get(patch.site, ()))
    if parts and not any(weights.differ(patch.layer, f"attn.{part}", patch.source) for part in parts):
        return ()
    if patch.site in _OF_GROUP:
        return [head for group in patch.heads for head in shape.heads_of(group)]
    if patch.site in _OF_LAYER:
        return range(shape.heads)
    return patch.heads if patch.site in _OF_HEAD else ()
