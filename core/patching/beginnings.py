"""What patched rows do on tokens that many prompts begin with: run once, and read by every prompt's own pass.

A row that patches all positions does on the first tokens the same whatever follows them. So its keys and values there
are kept, and the pass of a prompt that begins alike runs from there on, with them before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from transformer_lens.model_bridge import TransformerBridge

from core.keys_values import KeysValues
from core.patching.budget import Budget
from core.patching.plan import CARRIED, Row
from core.recording import Recording, record

KeysOf = dict[int, KeysValues]  # layer → keys and values, one row of the batch each
ROOM = 0.25  # of a budget's bytes, that kept keys and values may take


@dataclass(eq=False)
class Beginning:
    """recordings: both models on the shared tokens alone. longest: tokens of the longest prompt that begins with them.

    kept: a chunk's rows, with a no-op before them or not → what they have left, of one recipient.
    """

    recordings: tuple[Recording, Recording]
    longest: int
    kept: dict[tuple[TransformerBridge, tuple[Row, ...], bool], tuple[KeysValues, ...]] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        return len(self.recordings[0].ids)

    def run_of(self, bridge: TransformerBridge) -> Recording:
        return next(recording for recording in self.recordings if recording.bridge is bridge)

    def rows(self, budget: Budget) -> int:
        """How many rows a chunk holds: the same in every prompt, so that each finds what an earlier one has left."""
        return max(1, budget.tokens // (self.longest - self.positions) - 1)

    def serves(self, rows: list[Row], budget: Budget) -> bool:
        """Whether rows of a plan may begin behind the shared tokens, and what they leave there has room."""
        if any(patch.positions or patch.source == CARRIED for row in rows for patch in row):
            return False
        keys = sum(part.nbytes for part in self.recordings[0].past[0]) * len(self.recordings[0].past)
        return bool(keys) and len(rows) * keys <= ROOM * budget.bytes

    def of_rows(
        self, bridge: TransformerBridge, rows: list[Row], no_op: bool, run: Callable[[], KeysOf]
    ) -> tuple[tuple[KeysValues, ...], int]:
        """Each layer's keys and values of these rows on the shared tokens, and how many those are."""
        key = (bridge, tuple(rows), no_op)
        if key not in self.kept:
            found = run()
            # Below the lowest patch nothing runs, and nothing is read.
            own = self.run_of(bridge).past
            self.kept[key] = tuple(found.get(layer, own[layer]) for layer in range(len(own)))
        return self.kept[key], self.positions


@torch.no_grad()
def beginning_of(pair: tuple[TransformerBridge, TransformerBridge], ids: tuple[int, ...], longest: int) -> Beginning:
    """ids: the tokens that the prompts share."""
    base, instruct = pair
    return Beginning((record(base, ids), record(instruct, ids)), longest)
