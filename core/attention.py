"""Attention from END: A(src→END) of every head in both models, what it carries, and what it writes.

A(src→END) = pattern[head, END, src], post-softmax. A weight is not yet information: A·‖v W_O[h]‖ is the length of what
END receives from a source position, and A·(v W_O[h])·d·s what of it lies along the logit difference, with d and s as
in `core.attribution`; positive: towards the answer. With grouped-query attention a head reads its KV group's v.
Families whose attention output passes a norm before it joins the stream: through that norm's recorded scale.

Identities, returned as checks: rows of the pattern sum to 1; Σ_src A·(v W_O[h])·d·s = the head's DLA from its z.
Not done: nothing is run, everything is read from recordings; no attribution of a value to what its position read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.attention_results import Attention, Patterns, table_roles
from core.attribution import head_outputs, readouts, through_post_norm
from core.models.quantized import head_weights
from core.prompt import AnsweredPrompt, Prompt, Reading
from core.readout import Readout, rounding
from core.recording import Recording
from core.results import MODELS, Check, Projection

# What a row's sum may miss: families take the softmax in float32 even in float64, and store it in the model's dtype.
_ROW_TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@torch.no_grad()
def attend(
    recordings: tuple[Recording, Recording], prompt: AnsweredPrompt, projection: Projection = "own"
) -> Attention:
    """Attention of (BASE, INSTRUCT) from END."""
    measures: tuple[list[np.ndarray], ...] = ([], [], [])
    checks = []
    for m, recording in enumerate(recordings):
        d = scaled_projection(recording, *readouts(recordings, m, projection), prompt)
        layers = [layer_attention(recording, layer, d) for layer in range(recording.bridge.cfg.n_layers)]
        for found, parts in zip(measures, zip(*layers)):
            found.append(_array(torch.stack(parts)))
        checks += _checks(MODELS[m], recording, d, torch.stack([layer[2] for layer in layers]))
    weight, value_weighted, written = map(np.stack, measures)
    return Attention(
        weight=weight,
        value_weighted=value_weighted,
        written=written,
        tokens=prompt.tokens,
        roles=table_roles(prompt.roles, prompt.colons),
        projection=projection,
        checks=tuple(checks),
    )


@torch.no_grad()
def weights_from_end(recordings: Sequence[Recording]) -> Float[np.ndarray, "model layer head pos"]:
    """`Attention.weight` alone."""
    return np.stack(
        [
            _array(
                torch.stack(
                    [each.layer(layer, "attn.hook_pattern")[:, -1] for layer in range(each.bridge.cfg.n_layers)]
                )
            )
            for each in recordings
        ]
    )


def scaled_projection(
    recording: Recording, own: Readout, reader: Readout, prompt: AnsweredPrompt
) -> Float[Tensor, " d_model"]:
    """d·s: what a component of the recording's residual at END is projected on, in logits of logit_diff."""
    d = reader.projection(prompt.answer_id, prompt.original_id)
    # Centring is linear and d is fixed, so it can be done once, on d.
    return own.scale(recording.final_residual[-1]) * (d - d.mean() if own.centred else d)


@torch.no_grad()
def layer_attention(
    recording: Recording, layer: int, d: Float[Tensor, " d_model"]
) -> tuple[Float[Tensor, "head pos"], Float[Tensor, "head pos"], Float[Tensor, "head pos"]]:
    """A, A·‖v W_O[h]‖ and A·(v W_O[h])·d of a layer's heads from END; d already scaled."""
    W_O = head_weights(recording.bridge.blocks[layer].attn, "W_O").to(d.dtype)
    weight = recording.layer(layer, "attn.hook_pattern")[:, -1].to(d.dtype)
    v = values(recording, layer).to(d.dtype)
    # A head at a time: every head's outputs at once would be heads × positions × d_model.
    length = torch.stack([_through(recording, layer, v[:, h] @ W_O[h]).norm(dim=-1) for h in range(len(W_O))])
    # The post-norm acts element by element, so it may be applied to d in place of every output.
    along = torch.einsum("phd,hd->hp", v, W_O @ _through(recording, layer, d))
    return weight, weight * length, weight * along


def values(recording: Recording, layer: int) -> Float[Tensor, "pos head d_head"]:
    """The value each query head reads: its KV group's, repeated. Value biases are included."""
    v = recording.layer(layer, "attn.hook_v")
    return v.repeat_interleave(recording.bridge.cfg.n_heads // v.shape[1], dim=1)


@torch.no_grad()
def patterns(
    recordings: tuple[Recording, Recording], heads: Sequence[tuple[int, int]], prompt: Prompt | Reading
) -> Patterns:
    """Full patterns of chosen (layer, head)s in (BASE, INSTRUCT)."""
    both = [
        np.stack([_array(recording.layer(layer, "attn.hook_pattern")[h]) for layer, h in heads])
        for recording in recordings
    ]
    return Patterns(tuple(heads), np.stack(both), prompt.tokens)


def _through(recording: Recording, layer: int, x: Float[Tensor, "... d_model"]) -> Tensor:
    return through_post_norm(recording, layer, -1, x)


def _array(x: Tensor) -> np.ndarray:
    return x.float().cpu().numpy()


def _checks(model: str, recording: Recording, d: Tensor, written: Float[Tensor, "layer head pos"]) -> list[Check]:
    layers = range(recording.bridge.cfg.n_layers)
    rows = [recording.layer(layer, "attn.hook_pattern").double().sum(-1) for layer in layers]
    dla = torch.stack([head_outputs(recording, layer) @ d for layer in layers])
    dtype = recording.bridge.W_U.dtype
    # z is stored in the model's dtype; in float32 and float64 the sums are as exact as the arithmetic.
    exact = {torch.float64: 1e-10, torch.float32: 1e-5 * max(1.0, float(dla.abs().max()))}
    return [
        Check(f"{model}: attention rows = 1", max(float((row - 1).abs().max()) for row in rows), _ROW_TOLERANCE[dtype]),
        Check(
            f"{model}: sources of a head = its DLA",
            float((written.sum(-1) - dla).abs().max()),
            exact.get(dtype, rounding(recording.bridge)),
        ),
    ]
