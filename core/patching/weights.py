"""The weights that patches take, component by component, and which of them differ between the two models at all.

A component whose weights are the donor's already is left alone: its effect is exactly zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge

from core.patching.plan import DONOR, OWN, Patch, Row
from core.recording import Recording

_ATTENTION = ("ln1", "attn.q", "attn.k", "attn.v", "attn.q_norm", "attn.k_norm", "attn.o", "ln1_post")
_MLP = ("ln2", "mlp", "ln2_post")
# The matrices of which a site takes slices.
PARTS = {"w_q": "q", "w_k": "k", "w_v": "v", "w_o": "o", "w_qk": "qk", "w_ov": "vo", "w_head": "qkvo"}
MODULES = {site: tuple(f"attn.{part}" for part in parts) for site, parts in PARTS.items()}
MODULES |= {"w_attn": _ATTENTION, "w_mlp": _MLP, "w_layer": _ATTENTION + _MLP}


@dataclass(eq=False)
class Weights:
    """The weights that patches take, of both models of one plan.

    recipient, donor: what names them; a source OWN is the recipient's own weights, a check of the machinery.
    """

    recipient: Recording
    donor: Recording
    _equal: dict[tuple[int, str], bool] = field(default_factory=dict)

    def of(self, source: str) -> TransformerBridge:
        return self.recipient.bridge if source == OWN else self.donor.bridge

    def changes(self, row: Row) -> bool:
        """Whether any of a row's patches can change a number: those of activations above the embedding always may."""
        return any(self._changes(patch) for patch in row)

    def _changes(self, patch: Patch) -> bool:
        if patch.site == "w_embed" or (patch.site, patch.layer, patch.source) == ("resid_pre", 0, DONOR):
            own, taken = (each.layer(0, "hook_resid_pre") for each in (self.recipient, self.donor))
            return not torch.equal(own, taken)
        if patch.site == "w_final":
            return not all(self._same(-1, name) for name in ("ln_final", "unembed"))
        names = MODULES.get(patch.site)
        return names is None or any(self.differ(patch.layer, name, patch.source) for name in names)

    def differ(self, layer: int, name: str, source: str) -> bool:
        """Whether a module of a block has to be run with a source's weights; False where it has no such module."""
        if source == OWN:
            return module_of(self.recipient.bridge.blocks[layer], name) is not None
        return not self._same(layer, name)

    def _same(self, layer: int, name: str) -> bool:
        if (layer, name) not in self._equal:
            bridges = (self.recipient.bridge, self.donor.bridge)
            modules = [module_of(bridge if layer < 0 else bridge.blocks[layer], name) for bridge in bridges]
            self._equal[layer, name] = _equal_weights(modules)
        return self._equal[layer, name]


def module_of(parent: nn.Module, name: str) -> nn.Module | None:
    """What a bridge's component wraps, by the component's path, without its hooks; None where the family has none."""
    for part in name.split("."):
        # Not by getattr, which a bridge passes on to the module that it wraps.
        found = parent._modules.get(part)
        if found is None:
            return None
        parent = found
    return parent._modules["_original_component"]


def _equal_weights(modules: Sequence[nn.Module | None]) -> bool:
    """Of modules that both models have, or neither."""
    own, taken = ([] if module is None else list(module.parameters()) for module in modules)
    return all(_equal(*both) for both in zip(own, taken, strict=True))


def _equal(own: Tensor, taken: Tensor) -> bool:
    if own.data_ptr() == taken.data_ptr():
        return True
    # Packed weights have scales beside them; of models that take turns one is elsewhere.
    comparable = own.is_floating_point() and taken.is_floating_point() and own.device == taken.device
    return comparable and torch.equal(own, taken)


def through(module: nn.Module, x: Tensor) -> Tensor:
    """A module on an activation, its weights brought to it where they lie elsewhere."""
    weights = dict(module.named_parameters())
    result: Tensor
    if all(_is_here(weight, x) for weight in weights.values()):
        result = module(x)
        return result
    there = {name: weight.to(x.device) for name, weight in weights.items()}
    result = torch.func.functional_call(module, there, (x,))
    return result


def _is_here(weight: Tensor, x: Tensor) -> bool:
    return weight.device == x.device
