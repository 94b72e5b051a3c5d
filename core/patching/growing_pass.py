"""The executor: any plan's rows as growing passes of the recipient.

One forward pass starts with one row at the lowest layer that is patched. On entering layer L it grows by every row
whose lowest patch is in L, each a copy of the recipient's own residual stream there; a row's patches are written into
it at their sites. Where all are patched at z or behind it, a layer's rows join behind its attention, with the
recipient's recorded z. In the last layer only END is kept after attention, and of the result only END's residual is
read, by `core.patching.measuring` in float32. Rows' logits are never whole. Work: Σ over rows of the layers from their
lowest patch up, in place of all layers. A row that would give the recipient what it has already is not run.

Rows that patch nothing before a position run from there on alone, with the recipient's recorded keys and values before
them. Row 0 is a no-op: the recipient's own activations written at the places of the chunk's first row, a check of the
machinery. Rows run in chunks within a budget: `core.patching.chunks`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge

from core.keys_values import Before, Keeping, KeysValues
from core.linear import fast_linears
from core.models.turns import take_turn
from core.norms import norms_once
from core.passes import replaced, run_with_hooks
from core.patching.beginnings import Beginning
from core.patching.begun import Begun
from core.patching.budget import Budget, rows_per_chunk
from core.patching.chunks import beginning, chunks
from core.patching.growth import Growth, Read
from core.patching.measures import Measures
from core.patching.measuring import Reader, reader_of
from core.patching.plan import CARRIED, WEIGHT_SITES, Row, Shape
from core.patching.shortage import within_memory
from core.patching.sources import Sources
from core.recording import Recording

Progress = Callable[[Begun], None]
WASTE = 16  # one token of so many in a budget is wasted before another chunk takes less time


def shape_of(recording: Recording) -> Shape:
    """The sizes of a recorded run that a plan is made for."""
    cfg = recording.bridge.cfg
    groups = cfg.n_key_value_heads or cfg.n_heads
    parallel = "blocks.0.hook_resid_mid" not in recording.activations
    return Shape(cfg.n_layers, cfg.n_heads, groups, len(recording.ids), parallel, cfg.d_mlp or 0)


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
    unmeasured: int = 0,
    frozen_patterns: bool = False,
    bare: bool = False,
) -> Begun:
    """The logit_diff and measures of each row, in the rows' order, and the largest effect of a no-op, in logits.

    candidates: ids of answer and original. checkpoint is called before every chunk and at every layer; it may raise
    to cancel, which leaves no hook on the bridge. begun: what need not run again; the chunks are those that would run
    without it, so that their numbers are too. unmeasured: how many rows at the end have a logit_diff alone.
    frozen_patterns: as `core.patching.frozen` says. bare: no row has more than a logit_diff, and no chunk a no-op.
    """
    sources = Sources(recipient, donor)
    if any(patch.source == CARRIED for row in rows for patch in row):
        # It takes a run of its own, which no growing pass can hold.
        sources.carried  # noqa: B018
    reader, measured = reader_of(recipient, donor, candidates), 0 if bare else len(rows) - unmeasured
    plain = recipient.final_residual[-1]
    ran = begun or Begun.nothing(len(rows))
    if idle := [i for i, row in enumerate(rows) if ran.left[i] and not sources.weights.changes(row)]:
        # Equal weights change nothing, exactly; a run would say so up to rounding.
        one = reader.measures(plain[None]) if measured else Measures.nothing(1)
        same = one.arranged(lambda values: values.repeat(len(idle)))
        ran = ran.with_rows(idle, reader.logit_diff(plain), same)
    begins = beginning if recipient.past else _at_the_first
    shared, whole = recipient.begins, budget
    if recipient.together is not None:
        budget = budget.part(len(recipient.together.recordings))
    if shared is not None and (frozen_patterns or not shared.serves(rows, budget)):
        shared = None
    size = cache(lambda before: rows_per_chunk(recipient, rows, budget, shared.positions if shared else before))
    # Of one prompt alone, so that how many run together changes nothing: each finds what an earlier one has left.
    most = (lambda before: min(size(before), shared.rows(whole))) if shared else size
    every = chunks(rows, most, budget.tokens // WASTE, begins)
    left = [missing for chunk in every if (missing := [i for i in chunk if ran.left[i]])]

    def run(chunk: list[int]) -> Float[Tensor, "row d_model"]:
        checkpoint()
        return _grow(sources, [rows[i] for i in chunk], checkpoint, frozen_patterns, shared, not bare)

    for chunk, final in within_memory(recipient, left, run):
        no_op = float("nan")
        if not bare:
            no_op, final = abs(float(reader.logit_diff(final[0]) - reader.logit_diff(plain))), final[1:]
        ran = ran.with_rows(chunk, *_read(reader, donor, final, chunk, rows, measured), no_op)
        progress(ran)
    return ran


def _read(
    reader: Reader, donor: Recording, final: Tensor, chunk: list[int], rows: list[Row], measured: int
) -> tuple[np.ndarray, Measures]:
    """What a chunk's rows say: those that take the donor's last norm and unembedding, through these."""
    logit_diff, measures = np.empty(len(chunk)), Measures.nothing(len(chunk))
    theirs = [any(patch.site == "w_final" for patch in rows[i]) for i in chunk]
    for of, through in ((False, reader), (True, replace(reader, bridge=donor.bridge))):
        mine = [n for n, taken in enumerate(theirs) if taken == of]
        if mine:
            logit_diff[mine] = through.logit_diff(final[mine])
        if wanted := [n for n in mine if chunk[n] < measured]:
            measures = measures.with_rows(wanted, through.measures(final[wanted]))
    return logit_diff, measures


def _grow(
    sources: Sources,
    rows: list[Row],
    checkpoint: Callable[[], None],
    frozen_patterns: bool,
    shared: Beginning | None,
    no_op: bool,
) -> Float[Tensor, "row d_model"]:
    """Residual at END after the last layer: of a no-op where there is one, then of `rows`, which stand as they join."""
    together = sources.recipient.together
    # Rows that begin late read their own prompt's keys, of which several prompts have several.
    if together is None or (shared is None and sources.recipient.past and min(map(beginning, rows))):
        return _finals([sources], rows, checkpoint, frozen_patterns, shared, no_op)[0]

    def run(every: list[tuple[Recording, Recording]]) -> list[Tensor]:
        return _finals([Sources(*both) for both in every], rows, checkpoint, frozen_patterns, shared, no_op)

    return together.of_rows(sources.recipient, rows, (frozen_patterns, no_op), run)


def _finals(
    every: list[Sources],
    rows: list[Row],
    checkpoint: Callable[[], None],
    frozen_patterns: bool,
    shared: Beginning | None,
    no_op: bool,
) -> list[Float[Tensor, "row d_model"]]:
    """Of each prompt, in one pass."""
    sources = every[0]
    recipient = sources.recipient
    if shared is None:
        before, past = min(map(beginning, rows)) if recipient.past else 0, recipient.past
    else:
        alone = Sources(shared.run_of(recipient.bridge), shared.run_of(sources.donor.bridge))
        past, before = shared.of_rows(recipient.bridge, rows, no_op, lambda: _keys_of(alone, rows, checkpoint, no_op))
    late = [_from(row, before) for row in rows]
    growth = Growth(every, shape_of(recipient), late, checkpoint, before, frozen_patterns, no_op)
    # Without use_cache=False the keys and values of every row in every layer would be kept to the end.
    _pass(growth, {"past_key_values": Before(past, before, len(every))} if before else {"use_cache": False})
    return list(growth.final[0].unflatten(0, (-1, len(every))).transpose(0, 1).contiguous())


def _keys_of(sources: Sources, rows: list[Row], checkpoint: Callable[[], None], no_op: bool) -> dict[int, KeysValues]:
    """Every layer's keys and values of the rows, from the lowest layer that they patch up."""
    cache = Keeping()
    growth = Growth([sources], shape_of(sources.recipient), rows, checkpoint, no_op=no_op)
    _pass(growth, {"past_key_values": cache})
    return cache.kept


def _pass(growth: Growth, how: dict[str, object]) -> None:
    """One forward pass of the recipient with the hooks of a growth."""
    bridge, others = growth.recipient.bridge, growth.every[0].donor.bridge
    ids = torch.tensor([growth.recipient.ids[growth.before :]], device=bridge.cfg.device)
    hooks = list(growth.hooks())
    take_turn(bridge)
    weights = any(patch.site in WEIGHT_SITES for row in growth.rows for patch in row)
    theirs = fast_linears(others) if weights else nullcontext()
    with fast_linears(bridge), theirs, replaced(_shortened(bridge, growth.first)), suppress(Read):
        run_with_hooks(bridge, ids, hooks, **how)


def _from(row: Row, before: int) -> Row:
    """A row with its positions counted from the first one that runs."""
    return tuple(replace(patch, positions=tuple(p - before for p in patch.positions)) for patch in row)


def _at_the_first(row: Row) -> int:
    return 0


def _shortened(bridge: TransformerBridge, first: int) -> dict[nn.Module, Callable[..., object]]:
    """Forwards that leave out what no row reads: layers below `first`, and every norm's second computation.

    What the layers below would have given is recorded, and where the first rows join it takes the place of what comes
    in.
    """
    return {**norms_once(bridge), **{block: lambda x, **kwargs: x for block in bridge.blocks[:first]}}
