"""How far fine-tuning moved each component's weights, to stand beside what that change does.

‖W_INSTRUCT − W_BASE‖ / ‖W_BASE‖, Frobenius norms over all matrices of a component at once, no unit. Of a query head
these are W_Q and W_O and its group's W_K and W_V; of an attention layer the four of all its heads; of an MLP all its
matrices. Biases and norms are left out. NaN where W_BASE is zero. Computed where the weights are.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from core.models.quantized import head_weights, plain_weight
from core.patching.origin_results import WeightNorms
from core.patching.weights import module_of


@torch.no_grad()
def weight_norms(base: TransformerBridge, instruct: TransformerBridge) -> WeightNorms:
    """Both models' weights, a layer at a time."""
    heads, attention, mlp = [], [], []
    for blocks in zip(base.blocks, instruct.blocks):
        squares = {name: _by_head(*(head_weights(block.attn, f"W_{name}") for block in blocks)) for name in "QKVO"}
        shared = len(squares["Q"][0]) // len(squares["K"][0])
        whole = [np.repeat(squares[name], shared if name in "KV" else 1, axis=1) for name in "QKVO"]
        heads.append(_ratio(np.sum(whole, axis=0)))
        attention.append(_ratio(np.sum([values.sum(1) for values in squares.values()], axis=0)))
        mlp.append(_ratio(_summed(zip(*(_matrices(block) for block in blocks)))))
    return WeightNorms(*(np.array(values, np.float32) for values in (heads, attention, mlp)))


def _by_head(base: Tensor, instruct: Tensor) -> np.ndarray:
    """(2, head): ‖ΔW‖² and ‖W‖². A head at a time: a whole layer upcast would be held three times over."""
    return np.stack([_squares(*both) for both in zip(base, instruct)], axis=1)


def _squares(base: Tensor, instruct: Tensor) -> np.ndarray:
    a, b = base.float(), instruct.to(base.device).float()
    return np.array([float((b - a).square().sum()), float(a.square().sum())])


def _summed(pairs: Iterable[tuple[Tensor, Tensor]]) -> np.ndarray:
    total: np.ndarray = np.sum([_squares(*both) for both in pairs], axis=0)
    return total


def _matrices(block: torch.nn.Module) -> list[Tensor]:
    mlp = module_of(block, "mlp")
    assert mlp is not None, "every block has an MLP"
    weights = [plain_weight(module) for module in mlp.modules() if hasattr(module, "weight")]
    return [weight for weight in weights if weight.ndim > 1]


def _ratio(squares: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: np.ndarray = np.sqrt(squares[0] / squares[1])
    return np.where(np.isfinite(ratio), ratio, np.nan)
