"""Patches of activations done to a plain transformers Llama with hooks: a reference that shares no code with the app.

A batch holds one row a patch, all edited in place in one forward. Weight patches: `tests.transplant`, of models whose
query heads have keys and values of their own (`ungrouped`), so that one head's can be replaced alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch as patched

import torch
from torch import Tensor
from transformers.models.llama import modeling_llama

from core.patching.plan import Patch

See = Callable[[int, str, tuple[Tensor, ...]], None]
_BY_HEAD = ("q", "k", "v", "z")


@torch.no_grad()
def patched_logits(recipient, donor, ids: Sequence[int], patches: Sequence[Patch]) -> Tensor:
    """(patch, vocab) at END: each patch in a run of its own."""
    taken: dict[tuple[int, str], Tensor] = {}
    tokens = torch.tensor([ids])

    def keep(layer: int, name: str, given: tuple[Tensor, ...]) -> None:
        taken[layer, name] = given[0][0].clone()

    def edit(layer: int, name: str, given: tuple[Tensor, ...]) -> None:
        for row, each in enumerate(patches):
            if each.layer == layer:
                positions = torch.tensor(each.positions or range(len(ids)))
                _edit(name, given, row, each, positions, taken, (recipient, donor))

    with _watched(donor, keep):
        donor(tokens, use_cache=False, logits_to_keep=1)
    with _watched(recipient, edit):
        return recipient(tokens.repeat(len(patches), 1), use_cache=False, logits_to_keep=1).logits[:, -1]


def ungrouped(model):
    """The same model with keys and values of each query head's own."""
    config, state = copy.deepcopy(model.config), dict(model.state_dict())
    size = config.num_attention_heads // config.num_key_value_heads
    config.num_key_value_heads = config.num_attention_heads
    for name, weight in state.items():
        if "k_proj" in name or "v_proj" in name:
            heads = weight.unflatten(0, (-1, config.head_dim))
            state[name] = heads.repeat_interleave(size, 0).flatten(0, 1)
    other = modeling_llama.LlamaForCausalLM(config).to(model.dtype).eval()
    other.load_state_dict(state)
    return other


def _edit(name, given, row: int, patch: Patch, positions, taken, models) -> None:
    """Write what a patch takes into its row, if this is the point at which its site is written."""
    layer, heads, x = patch.layer, list(patch.heads), given[0]
    at = positions[:, None], torch.tensor(heads)
    if name == patch.site and name in _BY_HEAD:
        width = models[0].config.head_dim
        x.unflatten(-1, (-1, width))[row][at] = taken[layer, name].unflatten(-1, (-1, width))[at]
    elif name == patch.site == "pattern":
        for head in heads:
            x[row, head, positions] = taken[layer, name][head, positions]
    elif name == patch.site and not heads:
        x[row, positions] = taken[layer, name][positions]
    elif name == "out" and patch.site in ("value_only", "pattern_only"):
        out, pattern, values = given
        for head in heads:
            of = taken[layer, "values"] if patch.site == "value_only" else values[row]
            by = taken[layer, "pattern"] if patch.site == "pattern_only" else pattern[row]
            out[row, head, positions] = by[head, positions] @ of[head]
    elif name == "written" and patch.site == "result":
        width = models[0].config.head_dim
        for head in heads:
            part = slice(head * width, (head + 1) * width)
            own, theirs = (each.model.layers[layer].self_attn.o_proj.weight[:, part].T for each in models)
            change = taken[layer, "z"][positions, part] @ theirs - given[1][row, positions, part] @ own
            x[row, positions] += change


@contextmanager
def _watched(model, see: See) -> Iterator[None]:
    """Within it `see` gets every activation of a forward, and may write into it."""
    handles = []
    for layer, block in enumerate(model.model.layers):
        attention = block.self_attn
        points = {"q": attention.q_proj, "k": attention.k_proj, "v": attention.v_proj}
        points |= {"attn_out": attention, "mlp_out": block.mlp}
        inputs = {"resid_pre": block, "z": attention.o_proj, "resid_mid": block.post_attention_layernorm}
        for name, module in points.items():
            handles.append(module.register_forward_hook(_output(layer, name, see)))
        for name, module in inputs.items():
            handles.append(module.register_forward_pre_hook(_input(layer, name, see)))
        handles.append(attention.o_proj.register_forward_hook(_written(layer, see)))

    def attend(module, query, key, value, mask, scaling, dropout=0.0, **others):
        key, value = (modeling_llama.repeat_kv(each, module.num_key_value_groups) for each in (key, value))
        pattern = (query @ key.transpose(2, 3) * scaling + mask).softmax(-1)
        see(module.layer_idx, "pattern", (pattern,))
        see(module.layer_idx, "values", (value,))
        out = pattern @ value
        see(module.layer_idx, "out", (out, pattern, value))
        return out.transpose(1, 2).contiguous(), pattern

    try:
        with patched.object(modeling_llama, "eager_attention_forward", attend):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _output(layer: int, name: str, see: See):
    return lambda module, given, out: see(layer, name, (out[0] if isinstance(out, tuple) else out,))


def _input(layer: int, name: str, see: See):
    return lambda module, given: see(layer, name, given)


def _written(layer: int, see: See):
    return lambda module, given, out: see(layer, "written", (out, given[0]))
