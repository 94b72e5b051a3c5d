"""What a model goes on to write: greedy, token by token."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformer_lens.model_bridge import TransformerBridge

from core.models.turns import take_turn
from core.prompt import Prompt


def continuation(bridge: TransformerBridge, prompt: Prompt, max_new_tokens: int = 24) -> Iterator[str]:
    """Yield the whole text written so far after each new token, until the model's end token or the limit.

    Under a chat template the end of the turn is an end too: BASE's own tokenizer need not name it so.
    """
    ids = torch.tensor([prompt.ids], device=bridge.cfg.device)
    room = max(0, min(max_new_tokens, bridge.cfg.n_ctx - len(prompt.ids)))
    decode = bridge.tokenizer.decode
    before = decode(prompt.ids, skip_special_tokens=True)
    written = list(prompt.ids)
    if room == 0:
        return
    steps = bridge.generate_stream(
        ids, max_new_tokens=room, max_tokens_per_yield=1, do_sample=False, return_type="tokens", verbose=False,
        eos_token_id=[*_end_tokens(bridge), *prompt.stops] or None,
    )  # fmt: skip
    while True:
        # Others may run between two tokens.
        take_turn(bridge)
        step = next(steps, None)
        if step is None:
            return
        # The first batch repeats the prompt.
        new = step[0].tolist()
        written += new[len(prompt.ids) :] if len(new) > len(prompt.ids) else new
        yield decode(written, skip_special_tokens=True)[len(before) :]


def _end_tokens(bridge: TransformerBridge) -> list[int]:
    """What ends the model's text by its own configuration, else by its tokenizer's."""
    named = getattr(bridge.cfg, "eos_token_id", None)
    named = bridge.tokenizer.eos_token_id if named is None else named
    return [] if named is None else [named] if isinstance(named, int) else list(named)
