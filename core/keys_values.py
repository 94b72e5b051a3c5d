"""The keys and values of one run's tokens, so that a later run on the same tokens may begin further on.

transformers hands every layer's keys (rotated) and values to a cache. One keeps them as they are, the other puts those
of the tokens before a position in front of what is computed from it on, for however many rows.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

KeysValues = tuple[Float[Tensor, "batch group pos d_head"], Float[Tensor, "batch group pos d_head"]]


class Keeping(DynamicCache):  # type: ignore[misc]
    """Keeps what each layer computes, in `kept`, and adds nothing to it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, KeysValues] = {}

    def update(self, keys: Tensor, values: Tensor, layer: int, *args: Any, **kwargs: Any) -> KeysValues:
        # Rotation may lift a bf16 model's keys to float32 (OLMo-2); a cache lifts the values with them.
        self.kept[layer] = keys, values.to(keys)
        return self.kept[layer]


class Before(DynamicCache):  # type: ignore[misc]
    """Puts the keys and values of the first `positions` tokens in front; of every length, since it knows no window."""

    def __init__(self, known: tuple[KeysValues, ...], positions: int) -> None:
        super().__init__([(keys[:, :, :positions], values[:, :, :positions]) for keys, values in known])

    def update(self, keys: Tensor, values: Tensor, layer: int, *args: Any, **kwargs: Any) -> KeysValues:
        return _behind(self.layers[layer].keys, keys), _behind(self.layers[layer].values, values)


def _behind(known: Tensor, new: Tensor) -> Tensor:
    return torch.cat([known.to(new).expand(len(new), -1, -1, -1), new], dim=2)
