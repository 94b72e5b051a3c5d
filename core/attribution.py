"""Direct logit attribution: each component's additive share of the logit difference at END.

With x the final residual at END, s = 1/rms(x) and d the readout's projection (`core.readout`), a component c that was
added to the stream contributes s · c·d. A head's c is z_h W_O[h]; in families whose attention output passes a norm
before it joins the stream (Gemma-2 and -3, OLMo-2) a head's share goes through that norm's recorded scale and weight.
Positive: towards the answer. The scale is each model's own; the projection may be either model's.

Identities, returned as checks: embed + Σ heads + biases + Σ mlp = logit_diff, and Σ heads + bias = attn_out per layer.
Not done: no attribution through later layers (that is patching), no folding of norms into weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    parts, checks = [], []
    for m, recording in enumerate(recordings):
        part = _one_model(recording, prompt, *readouts(recordings, m, projection))
        parts.append(part)
        checks += _checks(MODELS[m], part, recording, projection)
    names = ("embed", "attn", "mlp", "head", "attn_bias", "bias", "scale", "total")
    arrays = {name: np.stack([np.asarray(part[name]) for part in parts]) for name in names}
    return Attribution(**arrays, projection=projection, checks=tuple(checks))


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
    take_turn(recording.bridge)
    block, dtype = recording.bridge.blocks[layer], dtype_of(recording.bridge)
    z = recording.layer(layer, "attn.hook_z")[position].to(dtype)
    W_O = head_weights(block.attn, "W_O").to(dtype)
    return through_post_norm(recording, layer, position, torch.einsum("hd,hdm->hm", z, W_O))


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


def _one_model(recording: Recording, prompt: AnsweredPrompt, own: Readout, reader: Readout) -> dict[str, Any]:
    cfg = recording.bridge.cfg
    x = recording.final_residual[-1]
    d = reader.projection(prompt.answer_id, prompt.original_id)
    # Centring is linear and d is fixed, so it can be done once, on d.
    d = own.scale(x) * (d - d.mean() if own.centred else d)

    def project(component: Tensor) -> Tensor:
        return component.to(own.dtype) @ d

    head, attn, mlp, bias = [], [], [], []
    for layer in range(cfg.n_layers):
        head.append(project(head_outputs(recording, layer)))
        attn.append(project(recording.layer(layer, "hook_attn_out")[-1]))
        mlp.append(project(recording.layer(layer, "hook_mlp_out")[-1]))
        bias.append(_attention_bias(recording, layer, project))
    reader_bias = reader.bias(prompt.answer_id, prompt.original_id)
    return {
        "embed": float(project(recording.layer(0, "hook_resid_pre")[-1])),
        "attn": torch.stack(attn).double().cpu().numpy(),
        "mlp": torch.stack(mlp).double().cpu().numpy(),
        "head": torch.stack(head).double().cpu().numpy(),
        "attn_bias": np.array(bias),
        "bias": reader_bias,
        "scale": float(own.scale(x)),
        "total": float(project(x)) + reader_bias,
    }


def _attention_bias(recording: Recording, layer: int, project: Callable[[Tensor], Tensor]) -> float:
    b_O = recording.bridge.blocks[layer].attn.b_O
    return 0.0 if b_O is None else float(project(through_post_norm(recording, layer, -1, b_O.to(torch.float64))))


def _checks(model: str, part: dict[str, Any], recording: Recording, projection: str) -> list[Check]:
    total = part["embed"] + part["head"].sum() + part["attn_bias"].sum() + part["mlp"].sum() + part["bias"]
    layers = part["head"].sum(-1) + part["attn_bias"] - part["attn"]
    tolerance = rounding(recording.bridge)
    own = projection in ("own", model)
    whole = "logit_diff" if own else f"its residual along {projection.upper()}'s projection"
    return [
        Check(f"{model}: embed + heads + mlp = {whole}", abs(float(total - part["total"])), tolerance),
        Check(f"{model}: heads of a layer = attn_out", float(np.abs(layers).max()), tolerance),
    ]
