"""What the attention analysis returns: where END attends, how much that carries, and what it writes.

Torch-free. Axes as in `core.results`: `model` is (base, instruct); layers, heads and positions count from 0.
Differences are INSTRUCT − BASE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.results import MODELS, Check, head_name
from core.wording import unsigned, word


def most_attended(weight: np.ndarray) -> int:
    """The position that a head attends to most, weight: (pos,); the first apart, where heads rest."""
    return 1 + int(weight[1:].argmax()) if len(weight) > 1 else 0


@dataclass(frozen=True)
class Attention:
    """Attention of every head from END, by source position. Arrays have axes (model, layer, head, pos), float32.

    weight: A(src→END), post-softmax; over pos it sums to 1.
    value_weighted: A·‖v W_O[h]‖, the length of what END receives from that position (units of the residual stream).
    written: A·(v W_O[h])·d·s, the logits it adds to logit_diff directly; over pos it sums to the head's DLA.
    tokens: the prompt's tokens. roles: role → position, only roles that the prompt has; see `table_roles`.
    projection: whose unembedding `written` is projected on: "own", "base" or "instruct".
    """

    weight: np.ndarray
    value_weighted: np.ndarray
    written: np.ndarray
    tokens: tuple[str, ...]
    roles: Mapping[str, int]
    projection: str
    checks: tuple[Check, ...]

    @property
    def dla(self) -> np.ndarray:
        """(model, layer, head) each head's direct logit attribution at END, in logits."""
        total: np.ndarray = self.written.sum(-1)
        return total

    @property
    def first(self) -> np.ndarray:
        """(model, layer, head) the mass on position 0, the attention sink whether or not it is a BOS."""
        return self.at(0)

    def position(self, source: str | int) -> int:
        """The position of a role, or the position itself."""
        return self.roles[source] if isinstance(source, str) else source

    def at(self, source: str | int) -> np.ndarray:
        """(model, layer, head) A(src→END) for a role or a position."""
        return self.weight[..., self.position(source)]

    def change(self, source: str | int) -> np.ndarray:
        """(layer, head) A_INSTRUCT − A_BASE."""
        base, instruct = self.at(source)
        change: np.ndarray = instruct - base
        return change

    def to_frame(self, measure: str = "weight") -> pd.DataFrame:
        """The table `attention`: model, role, layer, head, value (A). One row per role that the prompt has.

        measure: "value_weighted" or "written" for those in place of A, in a column of that name.
        """
        roles, array = list(self.roles), getattr(self, measure)
        values = np.stack([array[..., self.roles[role]] for role in roles], axis=1)
        column = "value" if measure == "weight" else measure
        return _tidy(values, {"model": MODELS, "role": roles, "layer": None, "head": None}, {column: values})

    def tokens_frame(self, layer: int, head: int) -> pd.DataFrame:
        """One head by source token: model, position, token, attention, value_weighted, written."""
        arrays = {"attention": self.weight, "value_weighted": self.value_weighted, "written": self.written}
        arrays = {name: array[:, layer, head] for name, array in arrays.items()}
        frame = _tidy(arrays["attention"], {"model": MODELS, "position": None}, arrays)
        frame.insert(2, "token", list(self.tokens) * len(MODELS))
        return frame

    def heads_frame(self, source: str | int, heads: Sequence[tuple[int, int]]) -> pd.DataFrame:
        """Chosen (layer, head)s: name, layer, head, base, instruct, change of A(src→END)."""
        values = self.at(source)
        rows = [
            (head_name(layer, h), layer, h, *values[:, layer, h], values[1, layer, h] - values[0, layer, h])
            for layer, h in heads
        ]
        return pd.DataFrame(rows, columns=["name", "layer", "head", "base", "instruct", "change"])

    def top_heads(self, source: str | int, count: int = 10) -> list[tuple[int, int]]:
        """(layer, head) of the largest |A_INSTRUCT − A_BASE|, largest first."""
        change = np.abs(self.change(source))
        order = np.argsort(-change, axis=None, kind="stable")[:count]
        return [(int(layer), int(h)) for layer, h in zip(*np.unravel_index(order, change.shape))]

    def layers(self, source: str | int) -> LayerChange:
        """Where in depth the two models differ in A(src→END)."""
        change = self.change(source)
        position = self.position(source)
        return LayerChange(np.abs(change).mean(-1), change.mean(-1), f"A({word(self.tokens[position])}→END)")


@dataclass(frozen=True)
class LayerChange:
    """How much an attention weight differs between the models, layer by layer.

    mean_abs: (layer,) mean over heads of |A_INSTRUCT − A_BASE|. mean: (layer,) the same with its sign.
    name: what is compared, for example A(quick→END).
    """

    mean_abs: np.ndarray
    mean: np.ndarray
    name: str

    def top(self, count: int = 3) -> list[int]:
        """The layers that differ most, most first; layers that do not differ at all are left out."""
        order = np.argsort(-self.mean_abs, kind="stable")[:count]
        return [int(layer) for layer in order if self.mean_abs[layer] > 0]

    def band(self, share: float = 0.5) -> tuple[int, int] | None:
        """The shortest run of layers (first, last) that holds `share` of the whole difference; None without one.

        Of several runs of that length, the one that holds most.
        """
        total = float(self.mean_abs.sum(dtype=np.float64))
        if total == 0:
            return None
        sums = np.concatenate([[0.0], np.cumsum(self.mean_abs, dtype=np.float64)])
        for length in range(1, len(self.mean_abs) + 1):
            held = sums[length:] - sums[:-length]
            first = int(held.argmax())
            if held[first] >= share * total * (1 - 1e-12):
                return first, first + length - 1
        raise AssertionError("all layers together hold the whole difference")

    def line(self, count: int = 3) -> str:
        """One line to read off: the top layers with their figures, and the band that holds half of the difference."""
        band = self.band()
        if band is None:
            return f"{self.name} is the same in both models"
        top = ", ".join(f"layer {layer} ({unsigned(self.mean_abs[layer], 3)})" for layer in self.top(count))
        where = f"layer {band[0]}" if band[0] == band[1] else f"layers {band[0]}–{band[1]}"
        return (
            f"{self.name} differs most in {top}; mean over all layers {unsigned(self.mean_abs.mean(), 3)}; "
            f"half of the difference lies in {where} of {len(self.mean_abs)}"
        )

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {"layer": np.arange(len(self.mean)), "mean_abs_change": self.mean_abs, "mean_change": self.mean}
        )


@dataclass(frozen=True)
class Patterns:
    """Full patterns of chosen heads.

    heads: (layer, head) of each. pattern: (model, chosen, query, source) post-softmax, float32; rows sum to 1.
    """

    heads: tuple[tuple[int, int], ...]
    pattern: np.ndarray
    tokens: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """model, layer, head, query, source, value; the causal part only (source ≤ query)."""
        axes = {"model": MODELS, "chosen": None, "query": None, "source": None}
        frame = _tidy(self.pattern, axes, {"value": self.pattern})
        frame = frame[frame["source"] <= frame["query"]].reset_index(drop=True)
        chosen = np.array(self.heads, dtype=int).reshape(-1, 2)[frame.pop("chosen").to_numpy()]
        frame.insert(1, "layer", chosen[:, 0])
        frame.insert(2, "head", chosen[:, 1])
        return frame


def table_roles(roles: Mapping[str, int | None], colons: Sequence[int]) -> dict[str, int]:
    """The roles of the table, absent ones left out: original, colon, colon_1 or colon_2, first, bos, end, picked.

    `colon` is the chosen one (the first by default). Of the prompt's first two tokens with ":", one that is not the
    chosen one has a role of its own, `colon_1` or `colon_2` by its order in the prompt.
    """
    named = {"original": roles["original"], "colon": roles["colon"]}
    named |= {f"colon_{n}": at for n, at in enumerate(colons[:2], 1) if at != roles["colon"]}
    named |= {name: roles.get(name) for name in ("first", "bos", "end", "picked")}
    return {name: at for name, at in named.items() if at is not None}


def _tidy(like: np.ndarray, axes: Mapping[str, Sequence[str] | None], values: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row per element of arrays of one shape; an axis is named by its labels, or counted from 0."""
    index = np.indices(like.shape).reshape(like.ndim, -1)
    columns = {
        name: index[n] if labels is None else np.asarray(labels, dtype=object)[index[n]]
        for n, (name, labels) in enumerate(axes.items())
    }
    return pd.DataFrame(columns | {name: array.reshape(-1) for name, array in values.items()})
