"""A random Llama of any size with grouped queries, and a pair of it: for sizes that the nine families do not have."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from core.prompt import Prompt
from core.recording import Recording, record
from tests.random_models import boot, fine_tuned
from tests.random_tokenizers import VOCAB, byte_level

GROUP_SIZE = 4


def random_llama(
    layers: int = 16,
    heads: int = 16,
    d_model: int = 512,
    d_head: int = 32,
    d_mlp: int = 1408,
    vocab: int = VOCAB,
    seed: int = 0,
) -> transformers.PreTrainedModel:
    """Weights of such a size that a patch in any layer moves the logits."""
    config = transformers.LlamaConfig(
        vocab_size=vocab,
        hidden_size=d_model,
        intermediate_size=d_mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // GROUP_SIZE,
        head_dim=d_head,
        max_position_embeddings=256,
        attn_implementation="eager",
    )
    model = transformers.LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5)
    return model


def recorded_pair(
    model: transformers.PreTrainedModel, folder: Path, tokens: int = 24
) -> tuple[tuple[Recording, Recording], Prompt]:
    """(BASE, INSTRUCT) recorded on a prompt of arbitrary ids, with two arbitrary candidates."""
    ids = tuple(range(10, 10 + tokens))
    recordings = []
    for name, each in (("base", model), ("instruct", fine_tuned(model, size=0.2 / model.config.hidden_size**0.5))):
        each.save_pretrained(folder / name)
        recordings.append(record(boot(folder / name, byte_level()), ids))
    roles = {"bos": None, "original": 3, "colon": 2, "end": tokens - 1, "picked": None}
    prompt = Prompt("", ids, tuple(map(str, ids)), roles, (2,), " a", 5, " b", 7)
    return tuple(recordings), prompt
