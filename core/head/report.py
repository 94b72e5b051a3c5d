"""One head on one prompt, BASE beside INSTRUCT: where it attends, what it writes, its OV circuit, its weights' change.

Attention and what is written along the logit difference are those of `core.attention`, the OV circuit that of
`core.head.ov_circuit`; nothing is run. Scores on random repeated tokens depend on no prompt: `core.head.scores`.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from core.attention import layer_attention, patterns, scaled_projection
from core.attribution import head_outputs, readouts
from core.experiment import InputError
from core.head.ov_circuit import ov_circuit
from core.head.results import HeadReport, OvInput, WeightChange
from core.models.quantized import head_weights
from core.prompt import AnsweredPrompt
from core.readout import rounding
from core.recording import Recording
from core.results import MODELS, Check, Projection, head_name


@torch.no_grad()
def examine(
    recordings: tuple[Recording, Recording],
    prompt: AnsweredPrompt,
    layer: int,
    head: int,
    position: int,
    ov_input: OvInput = "recorded",
    projection: Projection = "own",
) -> HeadReport:
    """Everything that (BASE, INSTRUCT)'s recordings and weights say about a head; position: the chosen source token."""
    bridges = tuple(recording.bridge for recording in recordings)
    _check_place(bridges[0], prompt, layer, head, position)
    ov = ov_circuit(recordings, prompt, layer, head, position, ov_input)
    weights = weight_change(bridges, layer)
    rows, checks = [], []
    for m, recording in enumerate(recordings):
        d = scaled_projection(recording, *readouts(recordings, m, projection), prompt)
        row = torch.stack([part[head] for part in layer_attention(recording, layer, d)])
        rows.append(row.float().cpu().numpy())
        residual = abs(float(row[2].sum() - head_outputs(recording, layer)[head] @ d))
        name = f"{MODELS[m]}: sources of {head_name(layer, head)} = its DLA"
        checks.append(Check(name, residual, rounding(recording.bridge)))
    weight, value_weighted, written = np.moveaxis(np.stack(rows), 1, 0)
    if ov_input == "recorded" and projection == "own":
        checks += _read_two_ways(bridges, weight * ov.difference, written)
    group = weights.group(head)
    return HeadReport(
        layer=layer,
        head=head,
        group=group,
        group_heads=tuple(h for h in range(len(weights.q)) if weights.group(h) == group),
        tokens=prompt.tokens,
        weight=weight,
        value_weighted=value_weighted,
        written=written,
        pattern=patterns(recordings, [(layer, head)], prompt).pattern[:, 0],
        ov=ov,
        weights=weights,
        projection=projection,
        checks=tuple(checks),
    )


@torch.no_grad()
def weight_change(bridges: tuple[TransformerBridge, TransformerBridge], layer: int) -> WeightChange:
    """‖W_INSTRUCT − W_BASE‖ / ‖W_BASE‖ of a layer's query heads (W_Q, W_O) and KV groups (W_K, W_V)."""
    attention = [bridge.blocks[layer].attn for bridge in bridges]
    matrices = {name: [head_weights(a, f"W_{name.upper()}") for a in attention] for name in ("q", "k", "v", "o")}
    return WeightChange(layer, **{name: _relative_change(*both) for name, both in matrices.items()})


def _relative_change(base: Float[Tensor, "n rows columns"], instruct: Float[Tensor, "n rows columns"]) -> np.ndarray:
    # A head at a time: a whole layer upcast would be held three times over.
    pairs = ((a.float(), b.float().to(a.device)) for a, b in zip(base, instruct))
    ratio = torch.stack([(b - a).norm() / a.norm() for a, b in pairs])
    ratio[~ratio.isfinite()] = torch.nan
    return ratio.cpu().numpy()


def _read_two_ways(
    bridges: tuple[TransformerBridge, TransformerBridge], circuit: np.ndarray, written: np.ndarray
) -> list[Check]:
    residuals = np.abs(circuit - written).max(-1)
    # Both sides are results, so float32 whatever the model's dtype.
    return [
        Check(f"{name}: A · OV difference = what is written", float(residual), max(1e-5, rounding(bridge)))
        for name, bridge, residual in zip(MODELS, bridges, residuals)
    ]


def _check_place(bridge: TransformerBridge, prompt: AnsweredPrompt, layer: int, head: int, position: int) -> None:
    for name, value, count in (
        ("layer", layer, bridge.cfg.n_layers),
        ("head", head, bridge.cfg.n_heads),
        ("position", position, len(prompt.ids)),
    ):
        if not 0 <= value < count:
            raise InputError(f"{name} {value} does not exist here; choose 0 to {count - 1}", name)
