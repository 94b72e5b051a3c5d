"""One model on one prompt: one forward pass, and of it only the activations that analyses read.

Activations keep TransformerLens' hook names and shapes, batch axis included (size 1), in the model's dtype on the
model's device, and are the raw bridge's: no weight is folded, no basis centred.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge

from core.keys_values import Keeping, KeysValues
from core.linear import fast_linears
from core.models.turns import take_turn
from core.norms import norms_once
from core.passes import Hook, once, points_of, replaced, run_with_hooks
from core.readout import readout

if TYPE_CHECKING:
    from core.patching.beginnings import Beginning
    from core.patching.together import Together

# Per layer: the residual stream, what each sublayer adds to it, and what attention is made of.
_LAYER_HOOKS = (
    r"hook_resid_pre|hook_resid_mid|hook_attn_out|hook_mlp_out|ln1_post\.hook_scale|"
    r"attn\.hook_q|attn\.hook_k|attn\.hook_v|attn\.hook_z|attn\.hook_pattern"
)
_READ = re.compile(rf"blocks\.\d+\.({_LAYER_HOOKS})|ln_final\.hook_in|unembed\.hook_out")


@dataclass(frozen=True, eq=False)
class Recording:
    """What one model did on one prompt.

    bridge: the model, a raw `TransformerBridge`; the weights that a readout needs come from it.
    ids: (pos,) the prompt's token ids.
    activations: hook name → activation, first axis batch of size 1. `unembed.hook_out` holds END only.
    past: each layer's keys, rotated, and values; none where the model does not hand over all of them.
    begins: what patched rows have left of the first tokens, where other prompts begin with them too.
    together: the prompts, this one among them, whose patched rows run in the same passes.
    """

    bridge: TransformerBridge
    ids: tuple[int, ...]
    activations: dict[str, Tensor]
    past: tuple[KeysValues, ...] = ()
    begins: Beginning | None = None
    together: Together | None = None

    @cached_property
    def nbytes(self) -> int:
        """Memory that it keeps: its activations, a buffer that some share counted once, and the logits at END."""
        kept = (*self.activations.values(), *chain.from_iterable(self.past))
        buffers = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in kept}
        return sum(buffers.values()) + 4 * int(self.bridge.W_U.shape[1])

    def layer(self, layer: int, name: str) -> Float[Tensor, "pos ..."]:
        """`blocks.{layer}.{name}` without the batch axis."""
        return self.activations[f"blocks.{layer}.{name}"][0]

    @property
    def final_residual(self) -> Float[Tensor, "pos d_model"]:
        """The residual stream after the last layer, before the final norm."""
        return self.activations["ln_final.hook_in"][0]

    @cached_property
    def next_token_logits(self) -> Float[Tensor, " vocab"]:
        """Every token's logit at END before a soft cap, by `core.readout`, formed once for all who ask."""
        with torch.no_grad():
            return readout(self.bridge).logits(self.final_residual[-1])


def to_safetensors(recording: Recording, description: Mapping[str, object]) -> bytes:
    """The activations under their hook names; each part of the description is JSON in the file's metadata."""
    # The format takes no two names for one memory.
    tensors = {
        name: activation.to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, activation in recording.activations.items()
    }
    return save(tensors, {name: json.dumps(part, ensure_ascii=False) for name, part in description.items()})


def most_bytes(bridge: TransformerBridge, tokens: int) -> int:
    """More than a recording of so many tokens keeps."""
    cfg = bridge.cfg
    of_heads = cfg.n_heads * (6 * cfg.d_head + tokens)  # q, k, v, z, the keys and values handed over; the pattern
    numbers = tokens * (cfg.n_layers * (4 * cfg.d_model + of_heads + 1) + cfg.d_model)
    return 4 * int(numbers + bridge.W_U.shape[1])


def record(
    bridge: TransformerBridge, ids: Iterable[int], streams: Recording | None = None, more: Collection[str] = ()
) -> Recording:
    """Run `bridge` once on the ids, without gradients, and keep what the analyses read.

    streams: another run of the same sizes, whose residual stream each sublayer gets in place of its own.
    more: names of hooks whose activations are kept besides, where the model has them.
    """
    return _recorded(bridge, [tuple(int(i) for i in ids)], streams, more)[0]


def record_together(bridge: TransformerBridge, every: Sequence[tuple[int, ...]]) -> list[Recording]:
    """The same of several prompts in one forward pass; what each keeps is a part of what all keep.

    Shorter ones are filled up behind their END with END again, which no token before it reads: every model here is
    causal, and as none is masked all are at the places that they have alone.
    """
    return _recorded(bridge, every)


def _recorded(
    bridge: TransformerBridge,
    every: Sequence[tuple[int, ...]],
    streams: Recording | None = None,
    more: Collection[str] = (),
) -> list[Recording]:
    kept: dict[str, Tensor] = {}

    def keeper(name: str) -> Hook:
        def keep(activation: Tensor, hook: HookPoint) -> None:
            kept[name] = activation

        return name, keep

    def other(name: str) -> Hook:
        def give(activation: Tensor, hook: HookPoint) -> Tensor:
            assert streams is not None
            return streams.activations[name].to(activation)

        return name, give

    hooks = []
    if streams is not None:
        hooks += [other(name) for name in streams.activations if name.endswith(("resid_pre", "resid_mid"))]
    read = once(bridge, "read", lambda: [name for name in points_of(bridge) if _READ.fullmatch(name)])
    read = [*read, *(name for name in more if name in points_of(bridge) and name not in read)]
    hooks += [keeper(name) for name in read]
    longest = max(map(len, every))
    filled = [(*ids, *ids[-1:] * (longest - len(ids))) for ids in every]
    rows, ends = range(len(every)), [len(ids) - 1 for ids in every]
    # Of a vocabulary times a prompt of logits only END's are read.
    hooks.append(("unembed.hook_in", lambda x, hook: x[rows, ends].unsqueeze(1)))
    take_turn(bridge)
    tokens, cache = torch.tensor(filled, device=bridge.cfg.device), Keeping()
    with torch.no_grad(), fast_linears(bridge), replaced(norms_once(bridge, read)):
        run_with_hooks(bridge, tokens, hooks, past_key_values=cache)
    layers = range(bridge.cfg.n_layers)
    past = tuple(cache.kept[layer] for layer in layers) if len(cache.kept) == len(layers) else ()
    if len(every) == 1:
        return [Recording(bridge, every[0], kept, past)]

    def part(name: str, x: Tensor, n: int) -> Tensor:
        own, tokens = x[n : n + 1], len(every[n])
        if name.endswith("pattern"):
            return own[:, :, :tokens, :tokens]
        return own if name.startswith("unembed") else own[:, :tokens]

    return [
        Recording(
            bridge,
            ids,
            {name: part(name, x, n) for name, x in kept.items()},
            tuple((keys[n : n + 1, :, : len(ids)], values[n : n + 1, :, : len(ids)]) for keys, values in past),
        )
        for n, ids in enumerate(every)
    ]
