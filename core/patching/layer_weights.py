"""Weight patches within a growing pass: a row's own stream through the donor's weights in some components.

A component's module runs on the row's own input with the source's weights, where they lie, and its output takes the
place of the recipient's: whole (norms, MLP, attention of `w_attn`) or for single heads. `w_q`, `w_k`, `w_v` and `w_o`
replace the slices of one head or KV group, biases included; the bias of W_O and the norms belong to the layer. `w_qk`,
`w_ov` and `w_head` of a query head that shares its keys and values leave the others of its group as they are: within
the attention a **shadow** of the row, gone after it, has the group's new keys and values, and the row takes that head's
z from it. Where all heads of a group are chosen there is no shadow: the row's own keys and values are replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from core.passes import Hook
from core.patching.plan import HEAD_WEIGHTS, Patch, Row, Shape
from core.patching.weights import MODULES, PARTS, Weights, module_of, through

_Cell = tuple[str, int, int]  # source, row, head or KV group


@dataclass(eq=False)
class LayerWeights:
    """The hooks of one layer's weight patches, of all sources at once.

    They go behind every other hook of the pass: what they read is what those have written.
    """

    weights: Weights
    layer: int
    patches: list[tuple[int, Patch]]
    shape: Shape
    held: dict[str, Tensor] = field(default_factory=dict)

    def hooks(self) -> Iterator[Hook]:
        prefix = f"blocks.{self.layer}."
        for point, hook in (*self._shadowed(), *self._projected(), *self._swapped(), *self._written_out()):
            yield prefix + point, hook

    @cached_property
    def whole(self) -> dict[str, list[tuple[str, int]]]:
        """module → (source, row) that takes all of it."""
        found = defaultdict(list)
        for row, patch in self.patches:
            if patch.site not in PARTS:
                for name in MODULES[patch.site]:
                    if self.weights.differ(self.layer, name, patch.source):
                        found[name].append((patch.source, row))
        return found

    @cached_property
    def _needs(self) -> dict[str, set[_Cell]]:
        """q, k, v, o → the query heads that take it; K, V → the KV groups that take their own matrix."""
        found: dict[str, set[_Cell]] = defaultdict(set)
        for row, patch in self.patches:
            for part in PARTS.get(patch.site, ""):
                if self.weights.differ(self.layer, f"attn.{part}", patch.source):
                    letter = part if patch.site in HEAD_WEIGHTS else part.upper()
                    found[letter] |= {(patch.source, row, head) for head in patch.heads}
        for part in "kv":
            for source, row, head in list(found[part]):
                group = self.shape.group_of(head)
                if all((source, row, other) in found[part] for other in self.shape.heads_of(group)):
                    found[part.upper()].add((source, row, group))
        return found

    @cached_property
    def shadows(self) -> list[tuple[str, int, str, list[int]]]:
        """(source, row, matrices, heads): a copy of the row whose groups take these matrices for these heads alone."""
        wanted: dict[tuple[str, int, int], str] = defaultdict(str)
        for part in "kv":
            for source, row, head in sorted(self._needs[part]):
                if (source, row, self.shape.group_of(head)) not in self._needs[part.upper()]:
                    wanted[source, row, head] += part
        together = defaultdict(list)
        for (source, row, head), parts in wanted.items():
            together[source, row, parts].append(head)
        return [(*key, heads) for key, heads in together.items()]

    def _shadowed(self) -> Iterator[Hook]:
        """The batch is larger within the attention, by the shadows."""
        if not self.shadows:
            return
        of = [row for _, row, _, _ in self.shadows]
        takes = [(n, row, head) for n, (_, row, _, heads) in enumerate(self.shadows) for head in heads]
        n, rows, heads = (list(column) for column in zip(*takes))

        def grow(x: Tensor, hook: HookPoint) -> Tensor:
            return torch.cat([x, x[of]])

        def take(z: Tensor, hook: HookPoint) -> Tensor:
            before = len(z) - len(of)
            z[rows, :, heads] = z[[before + shadow for shadow in n], :, heads]
            return z[:before]

        yield "attn.hook_in", grow
        yield "attn.hook_z", take

    def _projected(self) -> Iterator[Hook]:
        """q, k and v, of whole rows and of single heads, of rows and their shadows."""
        for part in "qkv":
            cells = [(source, row, head) for source, row in self.whole[f"attn.{part}"] for head in self._all(part)]
            direct = sorted(self._needs["q" if part == "q" else part.upper()])
            cells += direct
            shadowed: list[tuple[str, int, int]] = []
            for n, (source, row, parts, heads) in enumerate(self.shadows):
                # What the row takes itself its shadow takes too; shadows count from the end of the batch.
                at = n - len(self.shadows)
                shadowed += [(taken, at, head) for taken, of, head in direct if of == row]
                if part in parts:
                    shadowed += [(source, at, self.shape.group_of(head)) for head in heads]
            cells += dict.fromkeys(shadowed)
            if cells:
                yield from self._project(part, cells)

    def _all(self, part: str) -> range:
        return range(self.shape.heads if part == "q" else self.shape.groups)

    def _project(self, part: str, cells: list[_Cell]) -> Iterator[Hook]:
        name = f"attn.{part}"

        def hold(x: Tensor, hook: HookPoint) -> None:
            self.held[name] = x

        def write(out: Tensor, hook: HookPoint) -> Tensor:
            x = self.held.pop(name)
            for source, module, rows, mine in self._by_source(name, cells):
                values = through(module, x[rows]).unflatten(-1, (len(self._all(part)), -1))
                _, where, heads = _indexed(mine)
                out[where, :, heads] = values[[rows.index(row) for row in where], :, heads]
            return out

        yield f"{name}.hook_in", hold
        yield f"attn.hook_{part}", write

    def _by_source(
        self, name: str, cells: Iterable[_Cell]
    ) -> Iterator[tuple[str, nn.Module, list[int], list[tuple[int, int]]]]:
        """(source, its module, the rows, their (row, head) cells)."""
        gathered = defaultdict(list)
        for source, row, head in cells:
            gathered[source].append((row, head))
        for source, mine in gathered.items():
            module = module_of(self.weights.of(source).blocks[self.layer], name)
            assert module is not None
            yield source, module, list(dict.fromkeys(row for row, _ in mine)), mine

    def _swapped(self) -> Iterator[Hook]:
        """Modules that take whole rows: norms and the MLP."""
        for name, rows in self.whole.items():
            if name not in ("attn.q", "attn.k", "attn.v", "attn.o"):
                yield from self._swap(name, [(source, row, 0) for source, row in rows])

    def _swap(self, name: str, cells: list[_Cell]) -> Iterator[Hook]:
        def hold(x: Tensor, hook: HookPoint) -> None:
            self.held[name] = x

        def write(out: Tensor, hook: HookPoint) -> Tensor:
            x = self.held.pop(name)
            for _, module, rows, _ in self._by_source(name, cells):
                out[rows] = through(module, x[rows]).to(out)
            return out

        yield f"{name}.hook_in", hold
        yield f"{name}.hook_out", write

    def _written_out(self) -> Iterator[Hook]:
        """W_O: of whole rows with its bias, of single heads without."""
        whole = [(source, row, head) for source, row in self.whole["attn.o"] for head in range(self.shape.heads)]
        single = sorted(cell for cell in self._needs["o"] if cell[:2] not in self.whole["attn.o"])
        if not whole + single:
            return
        rows, where, heads = _indexed((row, head) for _, row, head in whole + single)

        def split(z: Tensor, hook: HookPoint) -> Tensor:
            self.held["z"] = z.new_zeros(len(rows), *z.shape[1:])
            self.held["z"][[rows.index(row) for row in where], :, heads] = z[where, :, heads]
            z[where, :, heads] = 0
            return z

        def add(x: Tensor, hook: HookPoint) -> Tensor:
            z = self.held.pop("z").flatten(-2)
            for cells in (single, whole):
                for source, module, mine, _ in self._by_source("attn.o", cells):
                    written = through(module, z[[rows.index(row) for row in mine]]).to(x)
                    bias = self.weights.of(source).blocks[self.layer].attn.b_O
                    if cells is whole:
                        x[mine] = written
                    else:
                        x[mine] += written if bias is None else written - bias.to(x)
            return x

        yield "attn.hook_z", split
        yield "attn.hook_out", add


def _indexed(cells: Iterable[tuple[int, int]]) -> tuple[list[int], list[int], list[int]]:
    """(the rows, each once; the row and the head of each cell)."""
    where, heads = (list(column) for column in zip(*cells))
    return list(dict.fromkeys(where)), where, heads


def by_layer(rows: Iterable[tuple[int, Row]]) -> dict[int, list[tuple[int, Patch]]]:
    """The weight patches within layers of numbered rows."""
    gathered = defaultdict(list)
    for number, row in rows:
        for patch in row:
            if patch.site in MODULES:
                gathered[patch.layer].append((number, patch))
    return gathered
