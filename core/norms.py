"""A bridge's norms, computed once.

A bridge computes a norm twice, once for the hooks within it, which hardly any pass uses. Its norms run here as the
model's own, if that gives the numbers of the bridge to the last bit. Where it does not, after an upgrade, they stay as
they are: slower, and right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TypeGuard

import torch
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components import NormalizationBridge

from core.passes import modules_of, once, points_of

log = logging.getLogger(__name__)

Forward = Callable[[Tensor], Tensor]


def norms_once(bridge: TransformerBridge, read: Collection[str] = ()) -> dict[nn.Module, Forward]:
    """The forward that each norm may run in place of its own; none where the numbers would be others.

    read: names of the hooks that a pass uses: a norm with one of them within it runs as it is.
    """
    forwards: dict[nn.Module, Forward] = once(bridge, "norms_once", lambda: _found(bridge))
    if not read:
        return forwards
    points = points_of(bridge)
    used = {points[name] for name in read}
    return {norm: run for norm, run in forwards.items() if used.isdisjoint((norm.hook_scale, norm.hook_normalized))}


def _found(bridge: TransformerBridge) -> dict[nn.Module, Forward]:
    forwards: dict[nn.Module, Forward] = {norm: _once(norm) for norm in modules_of(bridge) if _is_twice(norm)}
    if all(_gives_the_same(bridge, *both) for both in forwards.items()):
        return forwards
    log.warning("norms computed once differ from the bridge's own: it computes them twice, and is slower")
    return {}


def _is_twice(module: nn.Module) -> TypeGuard[NormalizationBridge]:
    return isinstance(module, NormalizationBridge) and bool(getattr(module, "use_native_layernorm_autograd", False))


def _once(norm: NormalizationBridge) -> Forward:
    first, own, last = norm.hook_in, norm.original_component, norm.hook_out
    return lambda x: last(own(first(x)))


def _gives_the_same(bridge: TransformerBridge, norm: nn.Module, forward: Forward) -> bool:
    weight = next(norm.parameters(), None)
    width = bridge.cfg.d_model if weight is None else weight.numel()
    x = torch.linspace(-2, 3, 2 * width).view(1, 2, width).to(bridge.W_U if weight is None else weight)
    return torch.equal(norm(x), forward(x))
