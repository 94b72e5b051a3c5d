"""The hooks of one growing pass (`core.patching.growing_pass`): rows join, patches are written, END alone is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.hook_points import HookPoint

from core.models.quantized import head_weights
from core.passes import Hook
from core.patching import cells as at
from core.patching.chunks import lowest
from core.patching.frozen import Decided, decided
from core.patching.layer_weights import LayerWeights, by_layer
from core.patching.plan import NEURON, OWN, Patch, Row, Shape
from core.patching.sources import Sources
from core.patching.together import for_each
from core.recording import Recording

# Hooks run in this order: what a counterfactual reads is written before it, what overwrites it after.
_ORDER = (
    *("w_embed", "resid_pre", "q", "k", "v", "pattern", "value_only", "pattern_only", "z", "result"),
    *("attn_out", "resid_mid", "neuron", "mlp_out"),
)
# What a patch of these leaves of its layer's attention is the recipient's own up to z.
_BEHIND_ATTENTION = {"z", "result", "attn_out", "resid_mid", NEURON, "mlp_out"}


class Read(Exception):
    """Ends a forward pass whose final residual has been read: norm and unembedding are not needed."""


@dataclass(eq=False)
class Growth:
    """The hooks of one growing pass. before: how many positions do not run, and from which on those of rows count.

    every: of each prompt that shares the pass, all of one length. The batch is (row, prompt): a row of each joins.
    frozen_patterns: as `core.patching.frozen` says. no_op: whether one stands before the rows.
    final: its one result, filled by the last of the hooks.
    """

    every: Sequence[Sources]
    shape: Shape
    rows: list[Row]
    checkpoint: Callable[[], None]
    before: int = 0
    frozen_patterns: bool = False
    no_op: bool = True
    final: list[Tensor] = field(default_factory=list)

    @property
    def recipient(self) -> Recording:
        """Of the first prompt; model and length are those of all."""
        return self.every[0].recipient

    @property
    def _recipients(self) -> list[Recording]:
        return [each.recipient for each in self.every]

    @cached_property
    def first(self) -> int:
        return min(map(lowest, self.rows))

    @property
    def last(self) -> int:
        return int(self.recipient.bridge.cfg.n_layers) - 1

    @property
    def end(self) -> int:
        return len(self.recipient.ids) - 1 - self.before

    @property
    def _attends_late(self) -> bool:
        """Whether no row needs its own attention in the layer that it joins in: what it has there is recorded."""
        behind = all(patch.site in _BEHIND_ATTENTION for row in self.rows for patch in row)
        return behind and not self.frozen_patterns and not self.shape.parallel

    def hooks(self) -> Iterator[Hook]:
        """In the order in which hooks on one point must run: join, write by site, keep END only."""
        joining = Counter(lowest(row) for row in self.rows)
        for layer in range(self.first, self.last + 1):
            yield f"blocks.{layer}.hook_resid_pre", self._enter(layer, joining[layer])
            if joining[layer] and self._attends_late:
                yield from self._skip_attention(layer, joining[layer])
        yield from self._values_in_attentions_dtype()
        no_op = [tuple(replace(patch, source=OWN) for patch in self.rows[0])] if self.no_op else []
        numbered = list(enumerate([*no_op, *self.rows]))
        weights = {
            layer: [LayerWeights(each.weights, layer, patches, self.shape) for each in self.every]
            for layer, patches in by_layer(numbered).items()
        }
        if self.frozen_patterns:
            yield from self._freezes(decided(numbered, self.every[0].weights, self.shape), weights)
        taken = at.by_place(numbered)
        for layer, site in sorted(taken, key=lambda place: _ORDER.index(place[1])):
            for source, patches in at.by_source(taken[layer, site]).items():
                yield from self._writes(layer, site, source, patches)
        yield from self._end_only()
        for patched in weights.values():
            yield from for_each([of_prompt.hooks() for of_prompt in patched])

    def _taken(self, source: Recording, layer: int, site: str, like: Tensor) -> Tensor:
        """A source's activation at the positions that run: of a pattern, at those that attend."""
        x = at.from_source(source, layer, site, like)
        return x[:, self.before :] if site == "pattern" else x[self.before :]

    def _of_every(
        self, sources: Sequence[Recording], layer: int, site: str, like: Tensor
    ) -> Float[Tensor, "prompt ..."]:
        """The same of every prompt's source."""
        found = [self._taken(source, layer, site, like) for source in sources]
        return torch.stack(found) if len(found) > 1 else found[0].unsqueeze(0)

    def _enter(self, layer: int, joining: int) -> Callable[[Tensor, HookPoint], Tensor | None]:
        def enter(x: Tensor, hook: HookPoint) -> Tensor | None:
            self.checkpoint()
            if not joining:
                return None
            own = self._of_every(self._recipients, layer, "resid_pre", x)
            if layer == self.first:
                # What one row has done up to here is recorded.
                return own.repeat(self.no_op + joining, 1, 1)
            return torch.cat([x, *[own] * joining])

        return enter

    def _skip_attention(self, layer: int, joining: int) -> Iterator[Hook]:
        """Rows that join do so behind the layer's attention, with the recipient's own z; one row always runs it."""
        behind = joining if layer > self.first or self.no_op else joining - 1

        def leave(x: Tensor, hook: HookPoint) -> Tensor:
            return x[: len(x) - behind * len(self.every)]

        def join(z: Tensor, hook: HookPoint) -> Tensor:
            return torch.cat([z, *[self._of_every(self._recipients, layer, "z", z)] * behind])

        norm = hasattr(self.recipient.bridge.blocks[layer], "ln1")
        yield f"blocks.{layer}.{'ln1' if norm else 'attn'}.hook_in", leave
        yield f"blocks.{layer}.attn.hook_z", join

    def _values_in_attentions_dtype(self) -> Iterator[Hook]:
        """Rotation may lift a bf16 model's patterns to float32 (OLMo-2); v follows only in the cache left out here."""
        for layer in range(self.last + 1):
            dtype = self.recipient.layer(layer, "attn.hook_pattern").dtype
            if dtype != self.recipient.layer(layer, "attn.hook_v").dtype:
                yield f"blocks.{layer}.attn.hook_v", _lifted(dtype)

    def _freezes(self, decided: Decided, weights: dict[int, list[LayerWeights]]) -> Iterator[Hook]:
        """The recipient's own patterns, but for what a row decides; its shadows decide what it does."""
        for layer in range(self.first, self.last + 1):
            cells = decided.get(layer, [])
            shadows = weights[layer][0].shadows if layer in weights else []
            cells = cells + [
                (n - len(shadows), head) for n, (_, row, *_) in enumerate(shadows) for of, head in cells if of == row
            ]
            kept = [list(column) for column in zip(*cells)]
            yield from for_each([self._freeze(each, layer, kept) for each in self.every])

    def _freeze(self, of: Sources, layer: int, kept: list[list[int]]) -> Iterator[Hook]:
        def freeze(x: Tensor, hook: HookPoint) -> Tensor:
            running = x[tuple(kept)] if kept else None
            x[:] = self._taken(of.recipient, layer, "pattern", x)
            if running is not None:
                x[tuple(kept)] = running
            return x

        yield f"blocks.{layer}.attn.hook_pattern", freeze

    def _writes(self, layer: int, site: str, name: str, patches: list[tuple[int, Patch]]) -> Iterator[Hook]:
        """The hooks that write the patches of one site in one layer, all from the source of that name."""
        after_cut = layer == self.last and site in ("attn_out", NEURON, "mlp_out")
        cells = at.cells(patches, self.end if after_cut else None, self.recipient.bridge.cfg.device)
        if site in ("value_only", "pattern_only"):
            for group in cells:
                yield from for_each([self._counterfactual(each, layer, site, group, name) for each in self.every])
        elif site == "result":
            yield from for_each([self._results(each, layer, patches, cells, name) for each in self.every])
        else:
            # Before the pass: what a source is made by may be a pass of its own.
            sources = [each.of(name) for each in self.every]

            def write(x: Tensor, hook: HookPoint) -> Tensor:
                values, of_prompts = self._of_every(sources, layer, site, x), x.unflatten(0, (-1, len(self.every)))
                for group in cells:
                    at.write(of_prompts, site, group, values[:, -1:] if after_cut else values)
                return x

            yield f"blocks.{layer}.{at.HOOKS[site]}", write

    def _counterfactual(self, of: Sources, layer: int, site: str, cells: at.Cells, name: str) -> Iterator[Hook]:
        """z of running pattern and the source's v, or of the source's pattern and running v."""
        source, held = of.of(name), list[Tensor]()
        groups = self.shape.group_of(cells.of_heads)

        def hold(x: Tensor, hook: HookPoint) -> None:
            held.append(at.read_pattern(x, cells) if site == "value_only" else x[cells.rows, :, groups])

        def write(z: Tensor, hook: HookPoint) -> Tensor:
            running = held.pop()
            if site == "value_only":
                pattern, values = running, at.from_source(source, layer, "v", running).transpose(0, 1)[groups]
            else:
                taken = self._taken(source, layer, "pattern", running).unsqueeze(0)
                only_row = at.Cells(torch.zeros_like(cells.rows), cells.heads, cells.positions)
                before = at.from_source(of.recipient, layer, "v", running)[: self.before].transpose(0, 1)
                pattern, values = at.read_pattern(taken, only_row), torch.cat([before[groups], running], 1)
            at.write_heads(z, cells, at.attend(pattern, values).to(z.dtype))
            return z

        yield f"blocks.{layer}.attn.hook_{'pattern' if site == 'value_only' else 'v'}", hold
        yield f"blocks.{layer}.attn.hook_z", write

    def _results(
        self, of: Sources, layer: int, patches: list[tuple[int, Patch]], cells: list[at.Cells], name: str
    ) -> Iterator[Hook]:
        """The head's own z is taken out, and the source's z through the source's W_O put in."""
        source, cut = of.of(name), layer == self.last
        kept = at.cells(patches, self.end, self.recipient.bridge.cfg.device) if cut else cells

        def clear(z: Tensor, hook: HookPoint) -> Tensor:
            for group in cells:
                at.write_heads(z, group, 0.0)
            return z

        def add(x: Tensor, hook: HookPoint) -> Tensor:
            z = self._taken(source, layer, "z", x)
            W_O = head_weights(source.bridge.blocks[layer].attn, "W_O").to(x)
            for group in kept:
                at.add_results(x, group, z[-1:] if cut else z, W_O)
            return x

        yield f"blocks.{layer}.attn.hook_z", clear
        yield f"blocks.{layer}.attn.hook_out", add

    def _end_only(self) -> Iterator[Hook]:
        """After the last layer's attention nothing but END is read; broadcasting over the residual keeps END right."""

        def keep_end(x: Tensor, hook: HookPoint) -> Tensor:
            return x[:, -1:].contiguous()

        def finish(x: Tensor, hook: HookPoint) -> None:
            self.final.append(x[:, -1].clone())
            raise Read

        prefix = f"blocks.{self.last}"
        # Where the MLP has no norm before it, its own input is the place.
        norm = hasattr(self.recipient.bridge.blocks[self.last], "ln2")
        yield f"{prefix}.attn.hook_z", keep_end
        yield f"{prefix}.{'ln2' if norm else 'mlp'}.hook_in", keep_end
        yield f"{prefix}.hook_out", finish


def _lifted(dtype: torch.dtype) -> Callable[[Tensor, HookPoint], Tensor]:
    return lambda x, hook: x.to(dtype)
