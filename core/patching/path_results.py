"""What path patching returns, with its tidy table. Sign and normalisation are those of `core.patching.gap`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.measures import Measures
from core.patching.plan import Shape
from core.patching.scored import Scored
from core.patching.senders import Kind, Sender, senders
from core.results import group_name, head_name

PARTS = ("q", "k", "v")


@dataclass(frozen=True)
class Paths(Scored):
    """Every sender's change in a receiver head's q, k or v alone, each in a run of its own.

    layer_index, head: the receiver. n_heads, n_groups: of a layer. alone: whether its k and v are patched for this head
    alone, or for every query head that shares them; q is always its own.
    logit_diff: (part, sender) of the recipient with that input changed: q, k, v × `senders`, the embedding, then layer
    by layer heads, attention as a whole, MLP.
    """

    receiver: tuple[int, int]
    n_heads: int
    n_groups: int
    alone: bool
    gap: Gap
    logit_diff: np.ndarray
    measures: Measures | None = None

    @property
    def layer(self) -> np.ndarray:
        """The receiver's: that is where a row begins to differ."""
        return np.array([[self.receiver[0]]])

    @property
    def senders(self) -> list[Sender]:
        return senders(self.receiver[0], Shape(self.receiver[0] + 1, self.n_heads, self.n_groups, 0))

    @property
    def group(self) -> int:
        return self.receiver[1] // (self.n_heads // self.n_groups)

    @property
    def group_heads(self) -> range:
        return Shape(0, self.n_heads, self.n_groups, 0).heads_of(self.group)

    def of(self, part: str) -> str:
        """Whose q, k or v takes the change: the head, or its KV group."""
        grouped = part != "q" and not self.alone
        return group_name(self.receiver[0], self.group) if grouped else head_name(*self.receiver)

    def by_kind(self, part: str, values: np.ndarray, kind: Kind) -> np.ndarray:
        """One part's numbers of one kind of sender: (layer, head) of heads, (layer,) of attn and mlp, (1,) of embed."""
        mine = [n for n, sender in enumerate(self.senders) if sender.kind == kind]
        found: np.ndarray = values[PARTS.index(part), mine]
        return found.reshape(-1, self.n_heads) if kind == "head" else found

    def strongest(self, part: str, count: int) -> list[int]:
        """Indices into `senders`, of single components, the largest effect first; none within the noise floor."""
        sizes = np.abs(self.effect[PARTS.index(part)])
        within = self.within_noise[PARTS.index(part)]
        single = [n for n, sender in enumerate(self.senders) if sender.kind != "attn"]
        beyond = [n for n in single if np.isfinite(sizes[n]) and not within[n]]
        return sorted(beyond, key=lambda n: -sizes[n])[:count]

    def to_frame(self) -> pd.DataFrame:
        """One row a path; `layer` and `head` are the sender's, absent where it has none."""
        found = self.senders
        has_layer = [sender.kind != "embed" for sender in found]
        count = len(PARTS)
        layers = [sender.layer if there else None for sender, there in zip(found, has_layer)]
        heads = [sender.head if sender.kind == "head" else None for sender in found]
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "receiver": head_name(*self.receiver),
                "part": np.repeat(PARTS, len(found)),
                "of": np.repeat([self.of(part) for part in PARTS], len(found)),
                "sender": [sender.name for sender in found] * count,
                "kind": [sender.kind for sender in found] * count,
                "layer": pd.array(layers * count, dtype="Int64"),
                "head": pd.array(heads * count, dtype="Int64"),
                **self.raveled(),
            }
        )
