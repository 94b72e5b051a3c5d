"""Linear layers on an x86 CPU in float32: through oneDNN, in place of the library that torch calls by itself.

A pass is nine tenths matrix products, and torch gives those of float32 to MKL, which leaves the AVX-512 units of
processors that are not Intel's unused: 113 GFLOP/s a thread on an AMD EPYC, where oneDNN, of the same torch, reaches
250. Both sum in float32, in another order, so results differ by rounding alone. There are gradients only where said.
The same layers are chosen on every machine with both libraries, and never by a measurement: equal runs, equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from core.passes import once


@contextmanager
def replaced(forwards: Mapping[nn.Module, Callable[..., object]]) -> Iterator[None]:
    """Within it these modules run the functions given in place of their own forward; their hooks stay as they are."""
    try:
        for module, forward in forwards.items():
            # Not by setattr, which a bridge's component passes on to the module it wraps.
            vars(module)["forward"] = forward
        yield
    finally:
        for module in forwards:
            vars(module).pop("forward", None)


def fast_linears(model: nn.Module, least: int = 0) -> AbstractContextManager[None]:
    """Within it, without gradients, the model's plain linear layers multiply through oneDNN; a no-op elsewhere.

    least: numbers of a weight; of smaller ones, with a few rows, the call costs more than the product.
    """
    layers = [each for each in _linears(model) if _is_plain(each)] if _available() else []
    return replaced({layer: _through_onednn(layer) for layer in layers if layer.weight.numel() >= least})


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


def _linears(model: nn.Module) -> list[nn.Linear]:
    """Looked for once: a walk over a small model's modules takes a tenth of a pass."""
    return once(model, "linears", lambda: [module for module in model.modules() if isinstance(module, nn.Linear)])


def _is_plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """A float32 layer of torch's own on the CPU: no subclass, which may hold its weights in a form of its own."""
    if type(module) is not nn.Linear or "forward" in vars(module):
        return False
    return module.weight.dtype == torch.float32 and module.weight.device.type == "cpu"


def _through_onednn(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    return lambda x: _pointwise(x, layer.weight, layer.bias)


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product
