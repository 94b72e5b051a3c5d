"""Weights that a head has, as numbers, whatever form they are held in.

bitsandbytes holds a linear layer's weights in 8 or 4 bits with scales beside them; what reads a weight must dequantize
it first. Embedding, unembedding and norms are never quantized.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from core.experiment import InputError

_HELD_PACKED = ("Params4bit", "Int8Params")
_LAYERS = {"W_Q": "q", "W_K": "k", "W_V": "v", "W_O": "o"}


def head_weights(attention: torch.nn.Module, name: str) -> Float[Tensor, "head d_in d_out"]:
    """W_Q, W_K, W_V or W_O of a bridge's attention block, one matrix a head or KV group: x @ W[head] is its output."""
    layer: Any = getattr(getattr(attention, _LAYERS[name], None), "original_component", None)
    if not _is_packed(layer):
        plain: Tensor = getattr(attention, name)
        return plain
    weight = plain_weight(layer)
    # A linear layer computes x Wᵀ.
    config: Any = attention.config
    heads = (-1, config.d_head)
    by_head: Tensor = weight.T.unflatten(0, heads) if name == "W_O" else weight.T.unflatten(1, heads).movedim(1, 0)
    return by_head


def plain_weight(layer: Any) -> Tensor:
    """A layer's weight matrix as the layer holds it, dequantized where that is packed."""
    weight: Tensor = layer.weight
    if _is_packed(layer):
        from peft.utils.integrations import dequantize_bnb_weight

        weight = dequantize_bnb_weight(layer.weight, state=getattr(layer, "state", None))
    return weight


def _is_packed(layer: Any) -> bool:
    return type(getattr(layer, "weight", None)).__name__ in _HELD_PACKED


def check_quantizable(title: str, quantization: str, device: str) -> None:
    """Refuse a quantization that cannot be had here; "" is none."""
    if not quantization:
        return
    remedy = "take `quantization` out of the pair"
    if not device.startswith("cuda"):
        raise InputError(f"{title} is quantized to {quantization}, which runs on CUDA only; {remedy}", "pair")
    if find_spec("bitsandbytes") is None:
        raise InputError(f"{title} in {quantization} needs bitsandbytes; pip install bitsandbytes, or {remedy}", "pair")
