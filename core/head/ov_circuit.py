"""A head's OV circuit: which tokens attending to a source token promotes and suppresses, over the full vocabulary.

If END attended to the source with weight 1, the head would add v W_O[h] to its residual stream, and by the direct path
s·w ⊙ (v W_O[h])·W_U to the logits; v is what the head's value vector holds at the source. Three inputs for v:

- recorded: v as recorded at the source's position on this prompt, bias included: whatever context that position had
  gathered by this layer. Its difference between answer and original, times A, is what `core.attention` says is written.
- embedding: the token's embedding alone through this layer's input norm and W_V: no context, no prompt.
- effective: the same from embedding + first MLP applied to it, attention skipped (the token's "effective embedding",
  since models read tokens off it rather than off the raw embedding). In layer 0 there is none below: the embedding.

The last two leave out the value bias, the same for every token. All use END's recorded scales of the final
norm (and of a norm behind attention, where the family has one): constants that scale a table and order nothing.
Left out: biases of output, final norm and unembedding (the same whatever the head reads), a soft cap, all paths
through later layers. In the readout's dtype (float32), the vocabulary a slice at a time: memory is positions × slice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from core.attention import values
from core.attribution import through_post_norm
from core.head.results import OvCircuit, OvInput, OvTokens
from core.models.quantized import head_weights
from core.prompt import AnsweredPrompt
from core.readout import Readout, readout
from core.recording import Recording
from core.tokens import special_ids, token_strings

SLICE = 16_384
TOP = 10


@torch.no_grad()
def ov_circuit(
    recordings: tuple[Recording, Recording],
    prompt: AnsweredPrompt,
    layer: int,
    head: int,
    position: int,
    ov_input: OvInput = "recorded",
    top: int = TOP,
    vocab_slice: int = SLICE,
) -> OvCircuit:
    """The OV circuit of one head of (BASE, INSTRUCT) for a source position, its own token's rank at all positions."""
    parts = []
    for recording in recordings:
        reader = readout(recording.bridge)
        W_O = head_weights(recording.bridge.blocks[layer].attn, "W_O")[head].to(reader.dtype)
        output = _value(recording, layer, head, ov_input).to(reader.dtype) @ W_O
        scaled = _at_the_unembedding(recording, reader, layer, output)
        parts.append(_over_the_vocabulary(scaled, reader, prompt, position, top, vocab_slice))
    tokenizer = recordings[0].bridge.tokenizer
    special = special_ids(tokenizer)
    return OvCircuit(
        layer=layer,
        head=head,
        position=position,
        ov_input=ov_input,
        promoted=_tokens([part["promoted"] for part in parts], tokenizer),
        suppressed=_tokens([part["suppressed"] for part in parts], tokenizer),
        own=np.stack([part["own"] for part in parts]),
        above=np.stack([part["above"] for part in parts]),
        below=np.stack([part["below"] for part in parts]),
        difference=np.stack([part["difference"] for part in parts]),
        vocab=recordings[0].bridge.W_U.shape[1],
        tokens=prompt.tokens,
        skip=tuple(at for at, i in enumerate(prompt.ids) if i in special),
    )


def _tokens(
    of_models: list[tuple[list[int], list[float]]], tokenizer: PreTrainedTokenizerFast
) -> tuple[OvTokens, OvTokens]:
    base, instruct = (
        OvTokens(tuple(ids), token_strings(ids, tokenizer), np.asarray(value, np.float32)) for ids, value in of_models
    )
    return base, instruct


def _value(recording: Recording, layer: int, head: int, ov_input: OvInput) -> Float[Tensor, "pos d_head"]:
    """What the head's value vector holds for each position of the prompt, under one of the three inputs."""
    if ov_input == "recorded":
        return values(recording, layer)[:, head]
    x = token_embedding(recording, first_mlp=ov_input == "effective" and layer > 0)
    block = recording.bridge.blocks[layer]
    W_V = head_weights(block.attn, "W_V")
    group = head // (recording.bridge.cfg.n_heads // len(W_V))
    # Upcast first: the model's own rounding of v is no part of a circuit read off its weights.
    dtype = readout(recording.bridge).dtype
    return _normed(block, "ln1", x).to(dtype) @ W_V[group].to(dtype)


def token_embedding(recording: Recording, first_mlp: bool) -> Float[Tensor, "pos d_model"]:
    """Each token of the prompt alone: its embedding, and the first MLP's answer to it if asked for; no attention."""
    bridge = recording.bridge
    ids = torch.tensor(recording.ids, device=bridge.cfg.device)
    x: Tensor = bridge.embed.original_component(ids)
    if not first_mlp:
        return x
    block = bridge.blocks[0]
    # A batch of one: some families' MLPs expect the axis.
    return x + _normed(block, "ln2_post", block.mlp.original_component(_normed(block, "ln2", x)[None])[0])


def _normed(block: nn.Module, name: str, x: Tensor) -> Tensor:
    """One of a block's norms, as the model applies it; unchanged where the family has no such norm."""
    norm: Any = getattr(block, name, None)
    return x if norm is None else norm.original_component(x)


def _at_the_unembedding(
    recording: Recording, reader: Readout, layer: int, output: Float[Tensor, "pos d_model"]
) -> Float[Tensor, "pos d_model"]:
    """A head's output as the unembedding reads it at END: through the recorded norms, their biases left out."""
    output = through_post_norm(recording, layer, -1, output)
    return reader.scale(recording.final_residual[-1]) * reader.centre(output) * reader.weight


def _over_the_vocabulary(
    y: Float[Tensor, "pos d_model"], reader: Readout, prompt: AnsweredPrompt, position: int, top: int, vocab_slice: int
) -> dict[str, Any]:
    """Own token's logit and counts at every position, and the chosen position's outermost tokens; a slice at a time."""
    ids = torch.tensor(prompt.ids, device=y.device)
    rows = torch.arange(len(ids), device=y.device)
    own = (y * reader.W_U[:, ids].T.to(y.dtype)).sum(-1)
    above, below = torch.zeros_like(ids), torch.zeros_like(ids)
    total = torch.zeros(len(ids), dtype=torch.float64, device=y.device)
    best: list[tuple[float, int]] = []
    worst: list[tuple[float, int]] = []
    start = 0
    for columns in reader.W_U.split(vocab_slice, dim=-1):
        logits = y @ columns.to(y.dtype)
        inside = (ids >= start) & (ids < start + logits.shape[1])
        # The token's own column, to the same rounding: it is neither above nor below itself.
        logits[rows[inside], ids[inside] - start] = own[inside]
        above += (logits > own[:, None]).sum(-1)
        below += (logits < own[:, None]).sum(-1)
        total += logits.double().sum(-1)
        chosen = logits[position]
        for kept, largest in ((best, True), (worst, False)):
            found = chosen.topk(min(top, len(chosen)), largest=largest)
            kept += zip(found.values.tolist(), (found.indices + start).tolist())
        start += logits.shape[1]
    mean = total / start
    difference = y @ (reader.W_U[:, prompt.answer_id] - reader.W_U[:, prompt.original_id]).to(y.dtype)
    promoted, suppressed = sorted(best, reverse=True)[:top], sorted(worst)[:top]
    return {
        "own": (own - mean).float().cpu().numpy(),
        "above": above.cpu().numpy(),
        "below": below.cpu().numpy(),
        "difference": difference.float().cpu().numpy(),
        "promoted": _split(promoted, float(mean[position])),
        "suppressed": _split(suppressed, float(mean[position])),
    }


def _split(found: list[tuple[float, int]], mean: float) -> tuple[list[int], list[float]]:
    return [i for _, i in found], [value - mean for value, _ in found]
