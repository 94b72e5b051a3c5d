"""A config that promises a larger model than its weights are is refused: a loader would make room for it first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from core.experiment import InputError, shorten

# By the names that families give them. Each layer has tensors of its own; a width is one of a matrix that stands there,
# whose other one is the model's.
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_MODEL = ("hidden_size", "n_embd", "d_model")
_WIDTHS: tuple[str, ...] = ("vocab_size", "intermediate_size", "n_inner", "ffn_dim", "head_dim")
_WIDTHS += ("num_attention_heads", "n_head", "num_key_value_heads", "num_local_experts", "num_experts")
_LENGTHS = ("max_position_embeddings", "n_positions", "n_ctx", "sliding_window")
_LONGEST = 100_000_000


def check_promised(source: str, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises an `InputError` that names the size. shapes: of the weights, by name, as the files' headers have them."""
    tensors, weights = len(shapes), sum(map(prod, shapes.values()))
    for part in _parts(config):
        width = max((_size(part.get(name)) for name in _MODEL), default=0.0)
        bounds = dict.fromkeys(_LAYERS, tensors) | dict.fromkeys(_MODEL, weights) | dict.fromkeys(_LENGTHS, _LONGEST)
        bounds |= dict.fromkeys(_WIDTHS, weights // int(width) if 1 <= width <= weights else weights)
        for name, most in bounds.items():
            if not _size(part.get(name)) <= most:
                raise InputError(
                    f"the config.json of {source!r} says {name} = {shorten(str(part[name]))}, which is more than its "
                    f"weights are of ({tensors:,} tensors, {weights:,} numbers); fetch it again",
                    "pair",
                )


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The config, and those within it."""
    waiting: list[Any] = [config]
    while waiting:
        if isinstance(part := waiting.pop(), dict):
            yield part
            waiting += part.values()


def _size(value: object) -> float:
    """The number, the largest of several, infinity for what is none."""
    if isinstance(value, list):
        return max(map(_size, value), default=0.0)
    if value is None:
        return 0.0
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else float("inf")
