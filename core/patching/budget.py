"""How many rows a growing pass may hold: an honest upper bound of what one row takes, and the budget against it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from transformer_lens.model_bridge import TransformerBridge

from core.experiment import InputError
from core.models.memory import free_bytes
from core.patching.plan import WEIGHT_SITES, Row
from core.recording import Recording

SHARE = 0.5  # of the memory that is free; the other half is for whoever else is on the device
# Enough to keep the device busy. More only makes progress coarser, and on a CPU every tensor memory to be cleared.
TOKENS = {"cpu": 2048, "cuda": 16384, "mps": 4096}
_FLOAT32 = 4


@dataclass(frozen=True)
class Budget:
    """What a pass may hold at once beyond the model: bytes at its peak, and tokens (rows × positions)."""

    bytes: int
    tokens: int

    def part(self, count: int) -> Budget:
        """What each of several prompts may hold that run at once."""
        return Budget(self.bytes // count, self.tokens // count)


def default_budget(bridge: TransformerBridge) -> Budget:
    """Half of the memory that is free on the bridge's device now."""
    device = str(bridge.cfg.device)
    return Budget(int(SHARE * free_bytes(device)), TOKENS.get(device.partition(":")[0], TOKENS["cpu"]))


def rows_per_chunk(recipient: Recording, rows: list[Row], budget: Budget, before: int = 0) -> int:
    """How many rows, beside the no-op, fit into the budget; an `InputError` where not even one does.

    before: positions that these rows do not run.
    """
    positions = len(recipient.ids) - before
    one = row_bytes(recipient, max((_heads(row, recipient) for row in rows), default=0), positions, before)
    if any(patch.site in WEIGHT_SITES for row in rows for patch in row):
        # Such a row runs a layer's modules twice, and its attention may have a shadow.
        one *= 2
    if 2 * one > budget.bytes:
        raise InputError(
            f"patching this prompt of {len(recipient.ids)} tokens takes {2 * one / 1e6:,.0f} MB at least, "
            f"{budget.bytes / 1e6:,.0f} MB are set aside for it; shorten the prompt or free memory",
            "sentence",
        )
    return max(1, min(budget.bytes // one, budget.tokens // positions) - 1)


def row_bytes(recipient: Recording, heads: int = 0, positions: int | None = None, before: int = 0) -> int:
    """Bytes of one row at the peak of a layer, patches of `heads` heads in that layer included.

    positions: of a prompt of that length in place of the recorded one's; before: others whose keys it reads.
    The peak lies in attention (q, k, v, their rotated copies and halves, keys and values repeated for every query head,
    scores before and after mask and softmax, the softmax in float32) or in the MLP (its two pre-activations, the
    activation and their product). The residual stream lives beside either: once for the caller of the layer, once
    grown, once as the layer's own, and in float32 inside a norm.
    """
    cfg, positions = recipient.bridge.cfg, positions or len(recipient.ids)
    element = recipient.final_residual.element_size()
    stream = cfg.d_model * (4 * element + 3 * _FLOAT32)
    queries, keys = cfg.n_heads * cfg.d_head, (cfg.n_key_value_heads or cfg.n_heads) * cfg.d_head
    attention = element * (5 * queries + 6 * keys + 2 * queries)
    scores = cfg.n_heads * (positions + before) * (3 * element + 2 * _FLOAT32)
    mlp = 4 * cfg.d_mlp * element
    patched = heads * ((positions + before + 4 * cfg.d_head) * element)
    # What a counterfactual gathers of the values before, and of the keys where attention cannot share them.
    past = before * element * (2 * keys + 2 * queries + heads * cfg.d_head)
    return int(positions * (stream + max(attention + scores, mlp) + patched) + past)


def _heads(row: Row, recipient: Recording) -> int:
    """The most heads that a row's patches touch in one layer; named positions count as the heads they take room of.

    At a named position a counterfactual gathers the values of all positions for itself.
    """
    positions, d_head = len(recipient.ids), recipient.bridge.cfg.d_head
    share = (2 * d_head + 2) / (positions + 4 * d_head)
    by_layer: dict[int, int] = {}
    for patch in row:
        by_layer[patch.layer] = by_layer.get(patch.layer, 0) + max(1, len(patch.heads)) * max(
            1, ceil(share * len(patch.positions))
        )
    return max(by_layer.values(), default=0)
