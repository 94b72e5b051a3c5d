"""A bridge's norms, computed once.

A bridge computes a norm twice, once for the hooks within it, which a growing pass does not use. Its norms run here as
the model's own, if that gives the numbers of the bridge to the last bit. Where it does not, after an upgrade, they stay
as they are: slower, and right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeGuard
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components import NormalizationBridge

from core.passes import modules_of

log = logging.getLogger(__name__)

Forward = Callable[[Tensor], Tensor]
# Whether a bridge's norms may run once: found at its first pass.
_equal: WeakKeyDictionary[TransformerBridge, bool] = WeakKeyDictionary()


def norms_once(bridge: TransformerBridge) -> dict[nn.Module, Forward]:
    """The forward that each norm may run in place of its own; none where the numbers would be others."""
    forwards: dict[nn.Module, Forward] = {norm: _once(norm) for norm in modules_of(bridge) if _is_twice(norm)}
    if bridge not in _equal:
        _equal[bridge] = all(_gives_the_same(bridge, *both) for both in forwards.items())
        if not _equal[bridge]:
            log.warning("norms computed once differ from the bridge's own: patching computes them twice, and is slower")
    return forwards if _equal[bridge] else {}


def _is_twice(module: nn.Module) -> TypeGuard[NormalizationBridge]:
    return isinstance(module, NormalizationBridge) and bool(getattr(module, "use_native_layernorm_autograd", False))


def _once(norm: NormalizationBridge) -> Forward:
    return lambda x: norm.hook_out(norm.original_component(norm.hook_in(x)))


def _gives_the_same(bridge: TransformerBridge, norm: nn.Module, forward: Forward) -> bool:
    weight = next(norm.parameters(), None)
    width = bridge.cfg.d_model if weight is None else weight.numel()
    x = torch.linspace(-2, 3, 2 * width).view(1, 2, width).to(bridge.W_U if weight is None else weight)
    return torch.equal(norm(x), forward(x))
