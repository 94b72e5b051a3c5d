"""One forward pass of a bridge with hooks, without what every pass would do anew: a bridge's parts stay as they are.

TransformerLens looks every hook's name up in a table of all names that it makes for each pass, and a walk over the
modules takes about as long: together some milliseconds, as much as a small model's pass. It also works out the same
signatures each time, half a millisecond, and another half it takes to ask of every part whether its weights are
somewhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint, LensHandle
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components import BlockBridge, EmbeddingBridge, base

# The name of a point, and what reads the activation there or gives another in its place
Hook = tuple[str, Callable[[Tensor, HookPoint], Tensor | None]]
Made = TypeVar("Made")


_HERE, _align = nullcontext(), base.align_module_device


def _aligned(module: nn.Module) -> AbstractContextManager[None]:
    """As Accelerate's own: nothing is to be done where it has put no hook on a module that answers for itself."""
    bare = type(module).__getattr__ is nn.Module.__getattr__ and "_hf_hook" not in vars(module)
    aligned: AbstractContextManager[None] = _HERE if bare else _align(module)
    return aligned


base.align_module_device = _aligned


class _Kept(dict[str, Any]):
    """What a model keeps of itself: nothing that a copy of it, whose modules are others, could go on with."""

    def __deepcopy__(self, memo: object) -> _Kept:
        return _Kept()


def once(model: nn.Module, name: str, make: Callable[[], Made]) -> Made:
    """What is made of a bridge or a model at the first call and lives as long as it does."""
    # Not by setattr, which a bridge passes on to the model that it wraps.
    kept = vars(model).setdefault("kept_once", _Kept())
    if name not in kept:
        kept[name] = make()
    made: Made = kept[name]
    return made


def modules_of(bridge: TransformerBridge) -> list[nn.Module]:
    """Every module within it."""
    # Not the bridge itself: what is kept by its last user alone is let go at once.
    return once(bridge, "modules_within", lambda: list(bridge.modules())[1:])


def points_of(bridge: TransformerBridge) -> dict[str, HookPoint]:
    """Every hook's name, its shorter ones too, and its point."""
    return once(bridge, "points", lambda: bridge.hook_dict)


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


def _signed(bridge: TransformerBridge) -> dict[nn.Module, Callable[..., object]]:
    """Forwards that do as the modules' own, and hold the signature that a bridge asks for before it calls them."""
    parts = [part for part in modules_of(bridge) if isinstance(part, (BlockBridge, EmbeddingBridge))]
    asked = [part.original_component for part in parts if part.original_component is not None]
    return {module: _with_signature(module.forward) for module in asked if "forward" not in vars(module)}


def _with_signature(own: Callable[..., object]) -> Callable[..., object]:
    def forward(*args: Any, **kwargs: Any) -> object:
        return own(*args, **kwargs)

    vars(forward)["__signature__"] = inspect.signature(own)
    return forward


def run_with_hooks(bridge: TransformerBridge, ids: Tensor, hooks: Iterable[Hook], **how: Any) -> None:
    """As the bridge's own, whose logits nobody wants. Of one point's hooks the first runs first."""
    with _hooked(bridge, hooks), replaced(once(bridge, "signed", lambda: _signed(bridge))):
        bridge(ids, return_type=None, **how)


@contextmanager
def _hooked(bridge: TransformerBridge, hooks: Iterable[Hook]) -> Iterator[None]:
    points = points_of(bridge)
    added: list[tuple[HookPoint, LensHandle]] = []
    try:
        for name, run in hooks:
            added.append((points[name], points[name].add_hook(run)))
        yield
    finally:
        for point, handle in added:
            handle.hook.remove()
            point.fwd_hooks.remove(handle)
