"""Previous-token, induction and first-token scores of every head, from its attention on random repeated tokens.

Each sequence is BOS (if the tokenizer puts one), then r random tokens, then the same r again. Scores are mean attention
weights, so 1 is a perfect head: previous — query q to q − 1; induction — query in the second copy to the token after
its first occurrence (Olsson et al. 2022, "prefix matching"); first — any query to position 0, BOS or not. A query that
has no such source is left out of a mean, which is where this differs from `transformer_lens.head_detector`: that
divides by all rows, so that a perfect induction head scores about one half. Position 0 is no source of a previous-token
score.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge

from core.head.results import HeadScores
from core.models.turns import take_turn
from core.passes import run_with_hooks
from core.tokens import leading_bos, special_ids

SEQUENCES = 4
LENGTH = 25


@torch.no_grad()
def score_heads(
    bridges: tuple[TransformerBridge, TransformerBridge],
    sequences: int = SEQUENCES,
    length: int = LENGTH,
    seed: int = 0,
) -> HeadScores:
    """Scores of every head of (BASE, INSTRUCT), which read the same sequences: one forward pass each."""
    ids, has_bos = repeated_tokens(bridges[0], sequences, length, seed)
    length = (ids.shape[1] - has_bos) // 2
    found = []
    for bridge in bridges:
        take_turn(bridge)
        kept: dict[int, np.ndarray] = {}

        def keep(pattern: Tensor, hook: HookPoint) -> None:
            kept[hook.layer()] = pattern_scores(pattern, length, has_bos).cpu().numpy()

        hooks = [(f"blocks.{layer}.attn.hook_pattern", keep) for layer in range(bridge.cfg.n_layers)]
        tokens = torch.tensor(ids, device=bridge.cfg.device)
        run_with_hooks(bridge, tokens, hooks)
        found.append(np.stack([kept[layer] for layer in range(bridge.cfg.n_layers)]))
    previous, induction, to_first = np.moveaxis(np.stack(found), 2, 0)
    return HeadScores(previous, induction, to_first, has_bos, sequences, length)


def pattern_scores(
    pattern: Float[Tensor, "batch head query source"], length: int, has_bos: bool
) -> Float[Tensor, "3 head"]:
    """(previous, induction, first) of each head from its patterns on repeated tokens."""
    first = int(has_bos)
    query = torch.arange(pattern.shape[-1], device=pattern.device)
    later, second = query[max(first + 1, 2) :], query[first + length :]
    previous = pattern[:, :, later, later - 1]
    induction = pattern[:, :, second, second - length + 1]
    to_first = pattern[:, :, 1:, 0]
    return torch.stack([x.float().mean((0, 2)) for x in (previous, induction, to_first)])


def repeated_tokens(
    bridge: TransformerBridge, sequences: int, length: int, seed: int
) -> tuple[Int[np.ndarray, "batch pos"], bool]:
    """Random repeated tokens, no token twice within a copy, no special one; shortened to fit context and vocabulary."""
    tokenizer = bridge.tokenizer
    special = special_ids(tokenizer)
    ordinary = [i for i in range(min(len(tokenizer), bridge.W_U.shape[1])) if i not in special]
    bos = leading_bos(tokenizer)
    length = min(length, len(ordinary), (bridge.cfg.n_ctx - 1) // 2)
    random = np.random.default_rng(seed)
    copies = np.stack([random.choice(ordinary, length, replace=False) for _ in range(sequences)])
    opening = np.full((sequences, 0 if bos is None else 1), bos or 0)
    return np.concatenate([opening, copies, copies], axis=1), bos is not None
