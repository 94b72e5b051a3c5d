"""Every measure of `core.patching.measures` read off final residuals, a slice of the vocabulary at a time.

With l a row's logits: log p(t) = l[t] − logsumexp(l), and KL(q ‖ patched) = Σ q log q − Σ q·l + logsumexp(l). So one
pass over the vocabulary gives all of it, and no row's logits are ever whole. In float32 (float64 where the model is).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from core.linear import times
from core.patching.measures import Measures
from core.readout import capped, readout
from core.recording import Recording

_SLICE = 2_048  # of the vocabulary: what a chunk of rows makes of it stays in a CPU's cache


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads rows of the recipient against both plain runs.

    bridge: whose last norm and unembedding reads them. candidates: ids of answer and original.
    references: (2, vocab) probabilities of the recipient and the donor over the tokens that both have.
    negentropy: (2,) their Σ q log q. plain: (2,) the recipient's log p of the candidates.
    """

    bridge: TransformerBridge
    candidates: tuple[int, int]
    references: Float[Tensor, "2 vocab"]
    negentropy: Float[Tensor, "2"]
    plain: Float[Tensor, "2"]

    def logit_diff(self, x: Float[Tensor, "row d_model"]) -> np.ndarray:
        return _numbers(readout(self.bridge).logit_diff(x, *self.candidates))

    def measures(self, x: Float[Tensor, "row d_model"]) -> Measures:
        reader = readout(self.bridge)
        y = reader.normalized(x)
        vocab = self.references.shape[1]

        def logits(tokens: slice | list[int]) -> Tensor:
            found = times(y, reader.W_U.T[tokens].to(reader.dtype))
            return capped(found if reader.b_U is None else found + reader.b_U[tokens].to(reader.dtype), self.bridge)

        chosen = logits(list(self.candidates))
        total = torch.full_like(chosen[:, 0], -torch.inf)
        crossed, above = torch.zeros_like(chosen), torch.zeros_like(chosen)
        for start in range(0, vocab, _SLICE):
            part = logits(slice(start, min(start + _SLICE, vocab)))
            for n, reference in enumerate(self.references[:, start : start + _SLICE]):
                # One at a time: a product with both columns takes eight times as long on a CPU.
                crossed[:, n] += part @ reference
            is_above = torch.empty_like(part)
            for n, token in enumerate(self.candidates):
                # Into numbers, whose sum is many times as fast as that of booleans.
                above[:, n] += torch.gt(part, chosen[:, n, None], out=is_above).sum(-1)
                if start <= token < start + part.shape[1]:
                    # Its own logit, summed in another order, is not above itself.
                    above[:, n] -= (part[:, token - start] > chosen[:, n]).to(above)
            # Last and in place: a second tensor of that size would cost as much as what is done in it.
            peak = part.amax(-1)
            total = torch.logaddexp(total, part.sub_(peak[:, None]).exp_().sum(-1).log() + peak)
        log_p = chosen - total[:, None] - self.plain
        # Rounding alone can bring a divergence of zero below it.
        divergence = (self.negentropy - crossed + total[:, None]).clamp(min=0)
        return Measures(*(_numbers(column) for pair in (log_p, above, divergence) for column in pair.unbind(-1)))


@torch.no_grad()
def reader_of(recipient: Recording, donor: Recording, candidates: tuple[int, int]) -> Reader:
    """The recipient's turn comes last: it runs next."""
    logits = [capped(each.next_token_logits, each.bridge) for each in (donor, recipient)][::-1]
    # Unembeddings may be padded to different widths.
    vocab = min(map(len, logits))
    log_p = torch.stack([each[:vocab].to(logits[0]).log_softmax(-1) for each in logits])
    negentropy = (log_p.exp() * log_p).sum(-1)
    return Reader(recipient.bridge, candidates, log_p.exp(), negentropy, log_p[0, list(candidates)])


def _numbers(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()
