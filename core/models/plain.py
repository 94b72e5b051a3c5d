"""A bridge's model as transformers wrote it: the same weights, without what makes every activation a hook.

A bridge's hooks are what analyses need, and most of what a small model's pass costs. Who only wants the next token
runs this one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel

_WRAPPED = "_original_component."


def plain(bridge: TransformerBridge) -> PreTrainedModel:
    """Made once; it holds no weight of its own. The bridge's own model where its weights have other names."""
    made: PreTrainedModel | None = vars(bridge).get("plain")
    if made is None:
        # Not by setattr, which a bridge passes on to the model that it wraps.
        made = vars(bridge)["plain"] = _shell(bridge.original_model)
    return made


def _shell(model: PreTrainedModel) -> PreTrainedModel:
    with torch.device("meta"):
        shell = type(model)(model.config)
    parameters = _by_name(model.named_parameters(remove_duplicate=False))
    buffers = _by_name(model.named_buffers(remove_duplicate=False))
    for own, theirs in ((shell.named_parameters, parameters), (shell.named_buffers, buffers)):
        for name, tensor in list(own(remove_duplicate=False)):
            found = theirs.get(name)
            if found is None or found.shape != tensor.shape:
                return model
            owner, _, leaf = name.rpartition(".")
            part = shell.get_submodule(owner)
            vars(part)["_parameters" if isinstance(found, nn.Parameter) else "_buffers"][leaf] = found
    return shell.eval()


def _by_name(tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name.replace(_WRAPPED, ""): tensor for name, tensor in tensors}
