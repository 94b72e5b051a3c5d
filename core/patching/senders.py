"""Who sends along a path: the components below a receiver, and the names of what their change makes of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.patching.plan import Shape
from core.results import head_name

Kind = Literal["embed", "head", "attn", "mlp"]
KINDS: tuple[Kind, ...] = ("embed", "head", "attn", "mlp")
_PATH = "path from "


@dataclass(frozen=True, order=True)
class Sender:
    """One component; layer and head: 0 where it has none. attn: a whole layer's attention, its heads together."""

    kind: Kind
    layer: int = 0
    head: int = 0

    @property
    def name(self) -> str:
        names = {"embed": "embedding", "head": head_name(self.layer, self.head)}
        return names.get(self.kind, f"L{self.layer} {'attention' if self.kind == 'attn' else 'MLP'}")

    @property
    def source(self) -> str:
        """As a patch's source: the recipient's q, k, v with this sender's change in their input."""
        return f"{_PATH}{self.kind} {self.layer} {self.head}"


def sender_of(source: str) -> Sender | None:
    """Whose change a patch's source is made with; None of any other source."""
    if not source.startswith(_PATH):
        return None
    kind, layer, head = source.removeprefix(_PATH).split()
    return Sender(next(known for known in KINDS if known == kind), int(layer), int(head))


def senders(below: int, shape: Shape) -> list[Sender]:
    """The embedding, then of every layer below that one its heads, its attention as a whole, and its MLP."""
    found = [Sender("embed")]
    for layer in range(below):
        found += [Sender("head", layer, head) for head in range(shape.heads)]
        found += [Sender("attn", layer), Sender("mlp", layer)]
    return found
