"""The neurons of one layer's MLP: what each writes along the logit difference, and what patching it moves.

Neuron n with activation a_n (what the MLP's last matrix reads) adds a_n W_out[n] to the residual stream, and so
s · a_n · (W_out[n]·d) to the logit difference directly, s and d as in `core.attribution`; where a family norms its
MLP's output first (Gemma-2 and -3, OLMo-2) the share goes through that norm's recorded scale and weight. With the bias
of W_out they sum to the MLP's direct logit attribution (checked). Each model's own projection.

A patch writes the donor's activation of a neuron, or of a set of them, at all positions; the recipient's W_out writes
it out. So all neurons at once equal `mlp_out` only where W_out is the same in both models.
A neuron's tokens are those of its W_out row by the direct path, the final norm's weight applied.
Not done: no path through later layers but by patching, no mixture of experts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.experiment import InputError
from core.models.quantized import plain_weight
from core.neuron_results import NeuronPatches, Neurons
from core.patching.cells import HOOKS
from core.patching.gap import Gap
from core.patching.measures import Measures
from core.patching.plan import NEURON, Direction, Patch, Row
from core.patching.sweeps import gap_of, no_checkpoint, run_plan
from core.prompt import AnsweredPrompt
from core.readout import Readout, readout, rounding
from core.recording import Recording, record
from core.results import MODELS, Check
from core.tokens import special_ids, token_strings

Recordings = tuple[Recording, Recording]
KEPT = 100  # neurons that a result names
TOP = 20  # of these with their tokens, and patched alone
TOKENS = 6
SIZES = (1, 10, 100)  # of the sets that are patched
_SLICE = 16_384


@torch.no_grad()
def find_neurons(recordings: Recordings, prompt: AnsweredPrompt, layer: int) -> Neurons:
    """The neurons of a layer of (BASE, INSTRUCT), by the difference between the models."""
    _check_layer(recordings, layer)
    models = [_direct(with_neurons(recording, layer), prompt, layer) for recording in recordings]
    direct = np.stack([model.direct for model in models])
    chosen = _by_change(direct)[:KEPT]
    promoted, suppressed = _tokens(recordings[1], layer, chosen[:TOP])
    total, bias = (np.array([getattr(model, name) for model in models]) for name in ("total", "bias"))
    residuals = np.abs(direct.sum(1) + bias - total)
    return Neurons(
        layer=layer,
        neuron=chosen,
        of=direct.shape[1],
        activation=np.stack([model.activation[chosen] for model in models]),
        direct=direct[:, chosen],
        promoted=promoted,
        suppressed=suppressed,
        total=total,
        bias=bias,
        checks=tuple(
            Check(f"{name}: neurons of layer {layer} = its MLP", float(residual), rounding(recording.bridge))
            for name, residual, recording in zip(MODELS, residuals, recordings)
        ),
    )


def patch_neurons(
    recordings: Recordings,
    prompt: AnsweredPrompt,
    layer: int,
    direction: Direction = "instruct_to_base",
    checkpoint: Callable[[], None] = no_checkpoint,
    between: Callable[[], None] = no_checkpoint,
) -> NeuronPatches:
    """The first neurons of `find_neurons` alone, and the first 1, 10, 100 and all of them at once, in two passes.

    checkpoint: may raise to cancel, within a pass too; between: is called after each, with no hook in place.
    """
    _check_layer(recordings, layer)
    base, instruct = (with_neurons(recording, layer) for recording in recordings)
    with torch.no_grad():
        order = _by_change(np.stack([_direct(each, prompt, layer).direct for each in (base, instruct)]))
    sizes = [*(size for size in SIZES if size < len(order)), len(order)]
    plans = [[_row(layer, [n]) for n in order[:TOP]], [_row(layer, order[:size]) for size in sizes]]

    def measured(gap: Gap, logit_diff: np.ndarray, measures: Measures) -> tuple[Gap, np.ndarray, Measures]:
        return gap, logit_diff, measures

    found = []
    for rows in plans:
        found.append(run_plan((base, instruct), prompt, rows, direction, measured, checkpoint=checkpoint))
        between()
    return NeuronPatches(
        in_layer=layer,
        neuron=order[:TOP],
        sizes=np.array(sizes),
        gap=gap_of(recordings, prompt, direction),
        logit_diff=np.concatenate([values for _, values, _ in found]),
        floors=np.concatenate([np.full(len(values), gap.floor.at(layer)) for gap, values, _ in found]),
        measures=Measures.joined([measures for _, _, measures in found]),
    )


def with_neurons(recording: Recording, layer: int) -> Recording:
    """The same run once more, with what this layer's neurons are at every position."""
    names = f"blocks.{layer}.{HOOKS[NEURON]}", f"blocks.{layer}.ln2_post.hook_scale"
    return record(recording.bridge, recording.ids, more=names)


@dataclass(frozen=True, eq=False)
class _Direct:
    """One model's neurons at END: activation, direct: (neuron,); total and bias: of the MLP and its output bias."""

    activation: np.ndarray
    direct: np.ndarray
    total: float
    bias: float


def _direct(recording: Recording, prompt: AnsweredPrompt, layer: int) -> _Direct:
    reader, mlp = readout(recording.bridge), recording.bridge.blocks[layer].mlp
    d = reader.projection(prompt.answer_id, prompt.original_id)
    d = reader.scale(recording.final_residual[-1]) * (d - d.mean() if reader.centred else d)
    # What a share of the MLP's output counts for, before the block's own norm where it has one.
    before = d * _post_norm(recording, layer, scaled=True).to(d)
    activation = recording.layer(layer, HOOKS[NEURON])[-1].to(reader.dtype)
    direct = activation * (_weights(recording, layer).to(reader.dtype) @ before)
    total = recording.layer(layer, "hook_mlp_out")[-1].to(reader.dtype) @ d
    bias = 0.0 if mlp.b_out is None else float(mlp.b_out.to(reader.dtype) @ before)
    return _Direct(_numbers(activation), _numbers(direct), float(total), bias)


def _post_norm(recording: Recording, layer: int, scaled: bool) -> Float[Tensor, " d_model"]:
    """What the block's own norm multiplies the MLP's output by at END, with or without its scale; ones without one."""
    norm = getattr(recording.bridge.blocks[layer], "ln2_post", None)
    if norm is None:
        return torch.ones(recording.bridge.cfg.d_model, device=recording.bridge.cfg.device)
    weight: Tensor = norm.original_component.weight.double()
    weight = 1 + weight if norm.uses_weight_offset else weight
    return weight / recording.layer(layer, "ln2_post.hook_scale")[-1].double() if scaled else weight


def _weights(recording: Recording, layer: int) -> Float[Tensor, "neuron d_model"]:
    """W_out, dequantized where it is packed."""
    mlp = recording.bridge.blocks[layer].mlp
    module = mlp.out.original_component
    weight: Tensor = plain_weight(module).T if isinstance(module, torch.nn.Linear) else mlp.W_out
    return weight.detach()


def _tokens(
    recording: Recording, layer: int, chosen: np.ndarray
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """The tokens that each neuron's row raises and lowers most."""
    reader, tokenizer = readout(recording.bridge), recording.bridge.tokenizer
    rows = _weights(recording, layer)[torch.as_tensor(chosen)].to(reader.dtype)
    rows = reader.centre(rows * _post_norm(recording, layer, scaled=False).to(rows)) * reader.weight
    logits = _over_the_vocabulary(rows, reader)
    special = [i for i in special_ids(tokenizer) if i < logits.shape[1]]
    found = []
    for sign in (1, -1):
        signed = sign * logits
        signed[:, special] = -torch.inf
        best = signed.topk(min(TOKENS, logits.shape[1]), dim=-1).indices.tolist()
        found.append(tuple(token_strings(ids, tokenizer) for ids in best))
    return found[0], found[1]


def _over_the_vocabulary(rows: Float[Tensor, "row d_model"], reader: Readout) -> Float[Tensor, "row vocab"]:
    return torch.cat([rows @ columns.to(reader.dtype) for columns in reader.W_U.split(_SLICE, dim=-1)], dim=-1)


def _by_change(direct: np.ndarray) -> np.ndarray:
    """All neurons, largest |INSTRUCT − BASE| first."""
    return np.argsort(-np.abs(direct[1] - direct[0]), kind="stable")


def _row(layer: int, neurons: Iterable[int]) -> Row:
    return (Patch(layer, NEURON, tuple(sorted(map(int, neurons)))),)


def _check_layer(recordings: Recordings, layer: int) -> None:
    layers = recordings[0].bridge.cfg.n_layers
    if not 0 <= layer < layers:
        raise InputError(f"there is no layer {layer}; choose 0 to {layers - 1}", "layer")
    if any(getattr(recording.bridge.blocks[layer].mlp, "out", None) is None for recording in recordings):
        raise InputError(f"the MLP of layer {layer} has no single matrix that its neurons are written out by", "layer")


def _numbers(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()
