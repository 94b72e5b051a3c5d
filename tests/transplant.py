"""Weight patches done to a copy of the transformers model itself: the reference that shares no code with the app."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from core.patching.plan import Patch
from tests.random_models import POST_NORM, SIZES

HEADS = SIZES["num_attention_heads"]
_PARTS = {"w_q": "q", "w_k": "k", "w_v": "v", "w_o": "o", "w_qk": "qk", "w_ov": "vo", "w_head": "qkvo"}


@contextmanager
def replaced(family: str, model, donor, patches: Iterable[Patch]) -> Iterator[None]:
    """Within it the patches' weights of the model itself are the donor's: of an untied one."""
    with torch.no_grad():
        both = [pair for patch in patches for pair in _weights(family, model, donor, patch)]
        own = [mine.clone() for mine, _ in both]
        for mine, theirs in both:
            mine.copy_(theirs)
        try:
            yield
        finally:
            for (mine, _), weight in zip(both, own):
                mine.copy_(weight)


def transplanted(family: str, recipient, donor, patches: Iterable[Patch]):
    """A copy of the recipient in which the patches' weights are the donor's; a tied unembedding is untied first.

    Sites of one head that share keys and values with others cannot be had this way.
    """
    model = copy.deepcopy(recipient)
    output = model.get_output_embeddings()
    output.weight = torch.nn.Parameter(output.weight.detach().clone())
    with torch.no_grad():
        for patch in patches:
            for mine, theirs in _weights(family, model, donor, patch):
                mine.copy_(theirs)
    return model


def logit_diff(model, ids, answer: int, original: int) -> float:
    """Before a soft cap."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1, [answer, original]].double()
    cap = getattr(model.config, "final_logit_softcapping", None)
    logits = logits if cap is None else cap * torch.atanh(logits / cap)
    return float(logits[0] - logits[1])


def _weights(family: str, model, donor, patch: Patch) -> Iterator[tuple[Tensor, Tensor]]:
    if patch.site == "w_embed":
        yield model.get_input_embeddings().weight, donor.get_input_embeddings().weight
    elif patch.site == "w_final":
        yield model.get_output_embeddings().weight, donor.get_output_embeddings().weight
        yield from zip(_final_norm(model).parameters(), _final_norm(donor).parameters())
    else:
        mine, theirs = (_layers(each)[patch.layer] for each in (model, donor))
        if patch.site in _PARTS:
            for part in _PARTS[patch.site]:
                for head in patch.heads:
                    yield from zip(_slices(family, mine, part, head), _slices(family, theirs, part, head))
        else:
            others = dict(theirs.named_parameters())
            for name, weight in mine.named_parameters():
                if patch.site == "w_layer" or (patch.site == "w_attn") == _is_attentions(family, name):
                    yield weight, others[name]


def _layers(model):
    return model.gpt_neox.layers if hasattr(model, "gpt_neox") else model.model.layers


def _final_norm(model):
    return model.gpt_neox.final_layer_norm if hasattr(model, "gpt_neox") else model.model.norm


def _is_attentions(family: str, name: str) -> bool:
    if name.startswith("post_attention_layernorm"):
        return family in POST_NORM
    return name.startswith(("self_attn.", "attention.", "input_layernorm"))


def _slices(family: str, layer, part: str, head: int) -> Iterator[Tensor]:
    """One head's rows of a projection and of its bias, or its columns of the output's."""
    if family == "neox":
        size = layer.attention.dense.weight.shape[1] // HEADS
        if part == "o":
            yield layer.attention.dense.weight[:, head * size : (head + 1) * size]
            return
        start = 3 * size * head + size * "qkv".index(part)
        yield layer.attention.query_key_value.weight[start : start + size]
        yield layer.attention.query_key_value.bias[start : start + size]
        return
    attention = layer.self_attn
    size = attention.head_dim
    if part == "o":
        yield attention.o_proj.weight[:, head * size : (head + 1) * size]
        return
    if family == "phi3":
        groups = attention.config.num_key_value_heads
        before = {"q": 0, "k": HEADS, "v": HEADS + groups}[part] + head
        yield attention.qkv_proj.weight[before * size : (before + 1) * size]
        return
    projection = getattr(attention, f"{part}_proj")
    yield projection.weight[head * size : (head + 1) * size]
    if projection.bias is not None:
        yield projection.bias[head * size : (head + 1) * size]
