"""What a model goes on to write: greedy, token by token."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformer_lens.model_bridge import TransformerBridge

from core.prompt import Prompt


def continuation(bridge: TransformerBridge, prompt: Prompt, max_new_tokens: int = 24) -> Iterator[str]:
    """Yield the whole text written so far after each new token, until the model's end token or the limit."""
    ids = torch.tensor([prompt.ids], device=bridge.cfg.device)
    room = max(0, min(max_new_tokens, bridge.cfg.n_ctx - len(prompt.ids)))
    decode = bridge.tokenizer.decode
    before = decode(prompt.ids, skip_special_tokens=True)
    written = list(prompt.ids)
    if room == 0:
        return
    steps = bridge.generate_stream(
        ids, max_new_tokens=room, max_tokens_per_yield=1, do_sample=False, return_type="tokens", verbose=False
    )
    for step in steps:
        # The first batch repeats the prompt.
        new = step[0].tolist()
        written += new[len(prompt.ids) :] if len(new) > len(prompt.ids) else new
        yield decode(written, skip_special_tokens=True)[len(before) :]
