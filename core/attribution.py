"""Direct logit attribution: each component's additive share of the logit difference at END.

With x the final residual at END, s = 1/rms(x) and d the readout's projection (`core.readout`), a component c that was
added to the stream contributes s · c·d. A head's c is z_h W_O[h]; in families whose attention output passes a norm
before it joins the stream (Gemma-2 and -3, OLMo-2) a head's share goes through that norm's recorded scale and weight.
Positive: towards the answer. The scale is each model's own; the projection may be either model's.

Identities, returned as checks: embed + Σ heads + biases + Σ mlp = logit_diff, and Σ heads + bias = attn_out per layer.
Not done: no attribution through later layers (that is patching), no folding of norms into weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.models.quantized import head_weights
from core.models.turns import take_turn
from core.prompt import AnsweredPrompt
from core.readout import Readout, dtype_of, readout, rounding
from core.recording import Recording
from core.results import MODELS, Attribution, Check, Projection


@torch.no_grad()
def attribute(
    recordings: tuple[Recording, Recording], prompt: AnsweredPrompt, projection: Projection = "own"
) -> Attribution:
    """Attribution of (BASE, INSTRUCT), in logits."""
    return attribute_every([recordings], [prompt], projection)[0]


@torch.no_grad()
def attribute_every(
    every: Sequence[tuple[Recording, Recording]], prompts: Sequence[AnsweredPrompt], projection: Projection = "own"
) -> list[Attribution]:
    """The same of several prompts, of one pair of models, whose weights are read once for all."""
    by_model = [
        _one_model([both[m] for both in every], prompts, *readouts(every[0], m, projection)) for m in range(len(MODELS))
    ]
    found = []
    for n, both in enumerate(every):
        parts = [{name: values[n] for name, values in of_model.items()} for of_model in by_model]
        checks = [check for m, part in enumerate(parts) for check in _checks(MODELS[m], part, both[m], projection)]
        arrays = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
        found.append(Attribution(**arrays, projection=projection, checks=tuple(checks)))
    return found


def readouts(recordings: tuple[Recording, Recording], m: int, projection: Projection) -> tuple[Readout, Readout]:
    """Model m's own readout and the projection's. Its own last: whose weights are read next has the turn."""
    chosen = recordings[m if projection == "own" else MODELS.index(projection)]
    reader = readout(chosen.bridge)
    return (reader if chosen is recordings[m] else readout(recordings[m].bridge)), reader


@torch.no_grad()
def head_outputs(recording: Recording, layer: int, position: int = -1) -> Float[Tensor, "head d_model"]:
    """What each head of a layer adds to the residual stream at a position, attention bias excluded.

    Post-norm families: the head's share of the normed output, through the norm's recorded scale and weight.
    """
    return _heads([recording], layer, position)[0]


def _heads(recordings: Sequence[Recording], layer: int, position: int = -1) -> Float[Tensor, "prompt head d_model"]:
    """The same of several prompts on one model."""
    bridge = recordings[0].bridge
    take_turn(bridge)
    dtype = dtype_of(bridge)
    z = torch.stack([each.layer(layer, "attn.hook_z")[position] for each in recordings]).to(dtype)
    W_O = head_weights(bridge.blocks[layer].attn, "W_O").to(dtype)
    written = torch.einsum("phd,hdm->phm", z, W_O)
    return torch.stack([through_post_norm(each, layer, position, x) for each, x in zip(recordings, written)])


@torch.no_grad()
def through_post_norm(
    recording: Recording, layer: int, position: int | slice, x: Float[Tensor, "... d_model"]
) -> Tensor:
    """Carry a share of the attention output through the block's own norm, where it has one: linear, scale recorded."""
    block = recording.bridge.blocks[layer]
    scale = recording.activations.get(f"blocks.{layer}.ln1_post.hook_scale")
    if scale is None:
        return x
    norm = block.ln1_post
    weight = norm.original_component.weight.to(x.dtype)
    normed: Tensor = x / scale[0, position].to(x.dtype) * (1 + weight if norm.uses_weight_offset else weight)
    return normed


def _one_model(
    recordings: list[Recording], prompts: Sequence[AnsweredPrompt], own: Readout, reader: Readout
) -> dict[str, np.ndarray]:
    """Every part of the result by name, (prompt, ...) each."""
    layers = range(recordings[0].bridge.cfg.n_layers)
    x = torch.stack([each.final_residual[-1] for each in recordings])
    d = torch.stack([reader.projection(prompt.answer_id, prompt.original_id) for prompt in prompts])
    # Centring is linear and d is fixed, so it can be done once, on d.
    d = own.scale(x) * (d - d.mean(-1, keepdim=True) if own.centred else d)

    def project(component: Float[Tensor, "prompt ... d_model"]) -> Float[Tensor, "prompt ..."]:
        return torch.einsum("p...m,pm->p...", component.to(own.dtype), d)

    def written(layer: int, name: str) -> Tensor:
        return project(torch.stack([each.layer(layer, name)[-1] for each in recordings]))

    def of_layers(one: Callable[[int], Tensor]) -> np.ndarray:
        return _numbers(torch.stack([one(layer) for layer in layers], 1))

    bias = np.array([reader.bias(prompt.answer_id, prompt.original_id) for prompt in prompts])
    return {
        "embed": _numbers(written(0, "hook_resid_pre")),
        "attn": of_layers(lambda layer: written(layer, "hook_attn_out")),
        "mlp": of_layers(lambda layer: written(layer, "hook_mlp_out")),
        "head": of_layers(lambda layer: project(_heads(recordings, layer))),
        "attn_bias": of_layers(lambda layer: _attention_bias(recordings, layer, project)),
        "bias": bias,
        "scale": _numbers(own.scale(x)[:, 0]),
        "total": _numbers(project(x)) + bias,
    }


def _attention_bias(recordings: list[Recording], layer: int, project: Callable[[Tensor], Tensor]) -> Tensor:
    b_O = recordings[0].bridge.blocks[layer].attn.b_O
    if b_O is None:
        return torch.zeros(len(recordings))
    wide = b_O.to(torch.float64)
    return project(torch.stack([through_post_norm(each, layer, -1, wide) for each in recordings]))


def _numbers(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()


def _checks(model: str, part: dict[str, np.ndarray], recording: Recording, projection: str) -> list[Check]:
    total = part["embed"] + part["head"].sum() + part["attn_bias"].sum() + part["mlp"].sum() + part["bias"]
    layers = part["head"].sum(-1) + part["attn_bias"] - part["attn"]
    tolerance = rounding(recording.bridge)
    own = projection in ("own", model)
    whole = "logit_diff" if own else f"its residual along {projection.upper()}'s projection"
    return [
        Check(f"{model}: embed + heads + mlp = {whole}", abs(float(total - part["total"])), tolerance),
        Check(f"{model}: heads of a layer = attn_out", float(np.abs(layers).max()), tolerance),
    ]
