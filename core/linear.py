"""Linear layers on an x86 CPU in float32: through oneDNN, in place of the library that torch calls by itself.

A pass is nine tenths matrix products, and torch gives those of float32 to MKL, which leaves the AVX-512 units of
processors that are not Intel's unused: 113 GFLOP/s a thread on an AMD EPYC, where oneDNN, of the same torch, reaches
250. Of a small product its call costs more than it gains. Both sum in float32, in another order, so results differ by
rounding alone. There are gradients only where said. On every machine with both libraries it is chosen by the shapes,
and never by a measurement: equal runs, equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from core.passes import once, replaced

_LARGE = 2**22  # products of two numbers, from which on they are worth a call to oneDNN


def fast_linears(model: nn.Module) -> AbstractContextManager[None]:
    """Within it, without gradients, the model's plain linear layers multiply large products through oneDNN; a no-op
    elsewhere."""
    forwards = once(model, "through_onednn", lambda: _forwards(model)) if _available() else {}
    return replaced({layer: forward for layer, forward in forwards.items() if "forward" not in vars(layer)})


def times(x: Tensor, weight: Tensor) -> Tensor:
    """x · weightᵀ without gradients, through oneDNN where plain linear layers would go through it."""
    plain = x.dtype == weight.dtype == torch.float32 and x.device.type == weight.device.type == "cpu"
    return _pointwise(x, weight, None) if plain and weight.is_contiguous() and _available() else x @ weight.T


def frozen_linears(model: nn.Module) -> AbstractContextManager[None]:
    """Within it plain linear layers whose weights are not trained multiply through oneDNN, gradients of inputs too."""
    plain = [module for module in model.modules() if _is_plain(module)]
    layers = [layer for layer in plain if layer.bias is None and not layer.weight.requires_grad]
    return replaced({layer: _frozen(layer) for layer in layers} if _available() else {})


class _Frozen(torch.autograd.Function):
    """x W^T and, backwards, g W: the transposed matrix is at hand, since oneDNN wants its weights in rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, transposed: Tensor) -> Tensor:
        ctx.save_for_backward(transposed)
        return _pointwise(x, weight, None)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (transposed,) = ctx.saved_tensors
        return _pointwise(gradients[0], transposed, None), None, None


def _frozen(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    weight = layer.weight.detach()
    transposed = weight.T.contiguous()
    return lambda x: _Frozen.apply(x, weight, transposed)  # type: ignore[no-untyped-call]


def _available() -> bool:
    libraries = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return bool(libraries and torch.backends.mkldnn.enabled and hasattr(torch.ops.mkldnn, "_linear_pointwise"))


def _forwards(model: nn.Module) -> dict[nn.Module, Callable[[Tensor], Tensor]]:
    """Made once: a walk over a small model's modules takes a tenth of a pass."""
    # A subclass may hold its weights in a form of its own.
    return {module: _through_onednn(module) for module in model.modules() if type(module) is nn.Linear}


def _is_plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """A float32 layer of torch's own on the CPU, which multiplies by its own forward."""
    return type(module) is nn.Linear and "forward" not in vars(module) and _multiplies(module.weight)


def _multiplies(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and weight.device.type == "cpu"


def _through_onednn(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    width = layer.out_features

    def forward(x: Tensor) -> Tensor:
        weight, bias = layer.weight, layer.bias
        large = x.numel() * width >= _LARGE and _multiplies(weight)
        return _pointwise(x, weight, bias) if large else nn.functional.linear(x, weight, bias)

    return forward


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product
