"""The executor: any plan's rows as growing passes of the recipient.

One forward pass starts with one row at the lowest layer that is patched. On entering layer L it grows by every row
whose lowest patch is in L, each a copy of the recipient's own residual stream there; a row's patches are written into
it at their sites. In the last layer only END is kept after attention, and of the result only END's residual is read,
by `core.patching.measuring` in float32. Rows' logits are never whole. Work: Σ over rows of the layers from their lowest
patch up, in place of all layers.

Row 0 is a no-op: the recipient's own activations written at the places of the chunk's first row, a check of the
machinery. Rows run in chunks within a budget, deepest layers first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge

from core.linear import fast_linears, replaced
from core.models.quantized import head_weights
from core.models.turns import take_turn
from core.patching import cells as at
from core.patching.begun import Begun
from core.patching.budget import Budget, rows_per_chunk
from core.patching.layer_weights import LayerWeights, by_layer
from core.patching.measures import Measures
from core.patching.measuring import Reader, reader_of
from core.patching.norms import norms_once
from core.patching.plan import CARRIED, OWN, Patch, Row, Shape
from core.patching.shortage import within_memory
from core.patching.sources import Sources
from core.recording import Hook, Recording

Progress = Callable[[Begun], None]

# Hooks run in this order: what a counterfactual reads is written before it, what overwrites it after.
_ORDER = (
    *("w_embed", "resid_pre", "q", "k", "v", "pattern", "value_only", "pattern_only", "z", "result"),
    *("attn_out", "resid_mid", "mlp_out"),
)


def shape_of(recording: Recording) -> Shape:
    """The sizes of a recorded run that a plan is made for."""
    cfg = recording.bridge.cfg
    groups = cfg.n_key_value_heads or cfg.n_heads
    parallel = "blocks.0.hook_resid_mid" not in recording.activations
    return Shape(cfg.n_layers, cfg.n_heads, groups, len(recording.ids), parallel)


@torch.no_grad()
def run_rows(
    recipient: Recording,
    donor: Recording,
    rows: list[Row],
    candidates: tuple[int, int],
    budget: Budget,
    progress: Progress = lambda ran: None,
    checkpoint: Callable[[], None] = lambda: None,
    begun: Begun | None = None,
) -> Begun:
    """The logit_diff and measures of each row, in the rows' order, and the largest effect of a no-op, in logits.

    candidates: ids of answer and original. checkpoint is called before every chunk and at every layer; it may raise
    to cancel, which leaves no hook on the bridge. begun: what need not run again; the chunks are those that would run
    without it, so that their numbers are too.
    """
    sources = Sources(recipient, donor)
    if any(patch.source == CARRIED for row in rows for patch in row):
        # It takes a run of its own, which no growing pass can hold.
        sources.carried  # noqa: B018
    reader = reader_of(recipient, donor, candidates)
    plain = recipient.final_residual[-1]
    ran = begun or Begun.nothing(len(rows))
    if idle := [i for i, row in enumerate(rows) if ran.left[i] and not sources.weights.changes(row)]:
        # Equal weights change nothing, exactly; a run would say so up to rounding.
        same = reader.measures(plain[None]).arranged(lambda values: values.repeat(len(idle)))
        ran = ran.with_rows(idle, reader.logit_diff(plain), same)
    every = chunks(rows, rows_per_chunk(recipient, rows, budget))
    left = [missing for chunk in every if (missing := [i for i in chunk if ran.left[i]])]

    def run(chunk: list[int]) -> Float[Tensor, "row d_model"]:
        checkpoint()
        return _grow(sources, [rows[i] for i in chunk], checkpoint)

    for chunk, final in within_memory(recipient, left, run):
        no_op = abs(float(reader.logit_diff(final[0]) - reader.logit_diff(plain)))
        ran = ran.with_rows(chunk, *_read(reader, donor, final[1:], [rows[i] for i in chunk]), no_op)
        progress(ran)
    return ran


def _read(reader: Reader, donor: Recording, final: Tensor, rows: list[Row]) -> tuple[np.ndarray, Measures]:
    """What rows say: those that take the donor's last norm and unembedding, through these."""
    logit_diff, measures = reader.read(final)
    if ends := [n for n, row in enumerate(rows) if any(patch.site == "w_final" for patch in row)]:
        logit_diff[ends], found = replace(reader, bridge=donor.bridge).read(final[ends])
        measures = measures.with_rows(ends, found)
    return logit_diff, measures


def _lifted(dtype: torch.dtype) -> Callable[[Tensor, HookPoint], Tensor]:
    return lambda x, hook: x.to(dtype)


def chunks(rows: list[Row], size: int) -> list[list[int]]:
    """Indices of the rows, at most `size` at once, deepest chunk first; in a chunk they stand in order of joining."""
    order = sorted(range(len(rows)), key=lambda i: -lowest(rows[i]))
    return [order[start : start + size][::-1] for start in range(0, len(order), size)]


def lowest(row: Row) -> int:
    """The layer in which a row joins the batch."""
    return min(patch.layer for patch in row)


def _grow(sources: Sources, rows: list[Row], checkpoint: Callable[[], None]) -> Float[Tensor, "row d_model"]:
    """Residual at END after the last layer; the first row is the no-op, then `rows`, which stand as they join."""
    growth = _Growth(sources, rows, checkpoint)
    bridge, others = sources.recipient.bridge, sources.donor.bridge
    ids = torch.tensor([sources.recipient.ids], device=bridge.cfg.device)
    take_turn(bridge)
    # Without use_cache=False the keys and values of every row in every layer would be kept to the end.
    with fast_linears(bridge), fast_linears(others), replaced(_shortened(bridge, growth.first)), suppress(_Read):
        bridge.run_with_hooks(ids, return_type=None, fwd_hooks=list(growth.hooks()), use_cache=False)
    return growth.final[0]


class _Read(Exception):
    """Ends a forward pass whose final residual has been read: norm and unembedding are not needed."""


def _shortened(bridge: TransformerBridge, first: int) -> dict[nn.Module, Callable[..., object]]:
    """Forwards that leave out what no row reads: layers below `first`, and every norm's second computation.

    What the layers below would have given is recorded, and where the first rows join it takes the place of what comes
    in.
    """
    return {**norms_once(bridge), **{block: lambda x, **kwargs: x for block in bridge.blocks[:first]}}


@dataclass(eq=False)
class _Growth:
    """The hooks of one growing pass. final: its one result, filled by the last of them."""

    sources: Sources
    rows: list[Row]
    checkpoint: Callable[[], None]
    final: list[Tensor] = field(default_factory=list)

    @property
    def recipient(self) -> Recording:
        return self.sources.recipient

    @property
    def first(self) -> int:
        return min(map(lowest, self.rows))

    @property
    def last(self) -> int:
        return int(self.recipient.bridge.cfg.n_layers) - 1

    @property
    def end(self) -> int:
        return len(self.recipient.ids) - 1

    def hooks(self) -> Iterator[Hook]:
        """In the order in which hooks on one point must run: join, write by site, keep END only."""
        joining = Counter(lowest(row) for row in self.rows)
        for layer in range(self.first, self.last + 1):
            yield f"blocks.{layer}.hook_resid_pre", self._enter(layer, joining[layer])
        yield from self._values_in_attentions_dtype()
        no_op = tuple(replace(patch, source=OWN) for patch in self.rows[0])
        numbered = list(enumerate([no_op, *self.rows]))
        taken = at.by_place(numbered)
        for layer, site in sorted(taken, key=lambda place: _ORDER.index(place[1])):
            for source, patches in at.by_source(taken[layer, site]).items():
                yield from self._writes(layer, site, patches, self.sources.of(source))
        yield from self._end_only()
        for layer, patches in by_layer(numbered).items():
            yield from LayerWeights(self.sources.weights, layer, patches, shape_of(self.recipient)).hooks()

    def _enter(self, layer: int, joining: int) -> Callable[[Tensor, HookPoint], Tensor | None]:
        def enter(x: Tensor, hook: HookPoint) -> Tensor | None:
            self.checkpoint()
            if not joining:
                return None
            own = at.from_source(self.recipient, layer, "resid_pre", x)
            if layer == self.first:
                return own.repeat(1 + joining, 1, 1)
            return torch.cat([x, own.expand(joining, -1, -1)])

        return enter

    def _values_in_attentions_dtype(self) -> Iterator[Hook]:
        """Rotation may lift a bf16 model's patterns to float32 (OLMo-2); v follows only in the cache left out here."""
        for layer in range(self.last + 1):
            dtype = self.recipient.layer(layer, "attn.hook_pattern").dtype
            if dtype != self.recipient.layer(layer, "attn.hook_v").dtype:
                yield f"blocks.{layer}.attn.hook_v", _lifted(dtype)

    def _writes(self, layer: int, site: str, patches: list[tuple[int, Patch]], source: Recording) -> Iterator[Hook]:
        """The hooks that write the patches of one site in one layer, all from one source."""
        device = self.recipient.bridge.cfg.device
        after_cut = layer == self.last and site in ("attn_out", "mlp_out")
        cells = at.cells(patches, self.end if after_cut else None, device)
        if site in ("value_only", "pattern_only"):
            for group in cells:
                yield from self._counterfactual(layer, site, group, source)
        elif site == "result":
            yield from self._results(layer, patches, cells, source)
        else:

            def write(x: Tensor, hook: HookPoint) -> Tensor:
                values = at.from_source(source, layer, site, x)
                for group in cells:
                    at.write(x, site, group, values[-1:] if after_cut else values)
                return x

            yield f"blocks.{layer}.{at.HOOKS[site]}", write

    def _counterfactual(self, layer: int, site: str, cells: at.Cells, source: Recording) -> Iterator[Hook]:
        """z of running pattern and the source's v, or of the source's pattern and running v."""
        held: list[Tensor] = []
        groups = shape_of(self.recipient).group_of(cells.of_heads)

        def hold(x: Tensor, hook: HookPoint) -> None:
            held.append(at.read_pattern(x, cells) if site == "value_only" else x[cells.rows, :, groups])

        def write(z: Tensor, hook: HookPoint) -> Tensor:
            running = held.pop()
            if site == "value_only":
                pattern, values = running, at.from_source(source, layer, "v", running).transpose(0, 1)[groups]
            else:
                taken = at.from_source(source, layer, "pattern", running).unsqueeze(0)
                only_row = at.Cells(torch.zeros_like(cells.rows), cells.heads, cells.positions)
                pattern, values = at.read_pattern(taken, only_row), running
            at.write_heads(z, cells, at.attend(pattern, values).to(z.dtype))
            return z

        yield f"blocks.{layer}.attn.hook_{'pattern' if site == 'value_only' else 'v'}", hold
        yield f"blocks.{layer}.attn.hook_z", write

    def _results(
        self, layer: int, patches: list[tuple[int, Patch]], cells: list[at.Cells], source: Recording
    ) -> Iterator[Hook]:
        """The head's own z is taken out, and the source's z through the source's W_O put in."""
        cut = layer == self.last
        kept = at.cells(patches, self.end, self.recipient.bridge.cfg.device) if cut else cells

        def clear(z: Tensor, hook: HookPoint) -> Tensor:
            for group in cells:
                at.write_heads(z, group, 0.0)
            return z

        def add(x: Tensor, hook: HookPoint) -> Tensor:
            z = at.from_source(source, layer, "z", x)
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
            raise _Read

        prefix = f"blocks.{self.last}"
        # Where the MLP has no norm before it, its own input is the place.
        norm = hasattr(self.recipient.bridge.blocks[self.last], "ln2")
        yield f"{prefix}.attn.hook_z", keep_end
        yield f"{prefix}.{'ln2' if norm else 'mlp'}.hook_in", keep_end
        yield f"{prefix}.hook_out", finish
