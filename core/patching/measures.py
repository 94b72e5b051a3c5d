"""What a patched run says beside its logit difference: its next-token distribution at END against both plain runs.

Δ log p is counted against the unpatched recipient: separate logits mean nothing, since a constant added to all of them
changes no probability. KL(recipient ‖ patched) is how far the patch moved the run, KL(donor ‖ patched) how far it still
is from the donor. Nats, over the full vocabulary, after a soft cap where the model has one. Nothing here knows torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Measures:
    """Arrays of one shape, that of the logit differences they stand beside; NaN where nothing has run.

    dlogp_answer, dlogp_original: log p(patched) − log p(recipient), in nats. rank_answer, rank_original: how many
    tokens are more probable. kl_recipient, kl_donor: KL(recipient ‖ patched) and KL(donor ‖ patched), in nats.
    """

    dlogp_answer: np.ndarray
    dlogp_original: np.ndarray
    rank_answer: np.ndarray
    rank_original: np.ndarray
    kl_recipient: np.ndarray
    kl_donor: np.ndarray

    @staticmethod
    def nothing(*shape: int) -> Measures:
        return Measures(*(np.full(shape, np.nan) for _ in MEASURES))

    def arranged(self, arrange: Callable[[np.ndarray], np.ndarray]) -> Measures:
        """The same of every array."""
        return Measures(*(arrange(getattr(self, name)) for name in MEASURES))

    def of_rows(self, rows: list[int]) -> Measures:
        return self.arranged(lambda values: values[rows])

    def with_rows(self, rows: list[int], found: Measures) -> Measures:
        """A copy in which these rows are what was found."""
        copies = {name: getattr(self, name).copy() for name in MEASURES}
        for name, values in copies.items():
            values[rows] = getattr(found, name)
        return replace(self, **copies)

    @staticmethod
    def joined(parts: list[Measures]) -> Measures:
        """One after another."""
        return Measures(*(np.concatenate([getattr(part, name) for part in parts]) for name in MEASURES))


MEASURES = ("dlogp_answer", "dlogp_original", "rank_answer", "rank_original", "kl_recipient", "kl_donor")
