"""The logit lens: both candidates' logits read off the residual stream at END, all along the depth.

A point of the stream is read as if it were the last: through the model's own final norm, with that point's own scale,
and the unembedding, in the readout's dtype and before a soft cap. Each layer gives the stream before it (resid_pre) and
between its attention and its MLP (resid_mid; parallel blocks have none); the last point is the stream after all layers,
whose logit difference is the run's (checked). Positive: the answer is above the original.
Not done: no lens is fitted, so an early point may be written in directions that only later layers turn into logits.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.prompt import AnsweredPrompt
from core.readout import readout, rounding
from core.recording import Recording
from core.results import MODELS, Check, Depth


@torch.no_grad()
def look_through_depth(recordings: tuple[Recording, Recording], prompt: AnsweredPrompt) -> Depth:
    """The logit lens of (BASE, INSTRUCT)."""
    candidates = [prompt.answer_id, prompt.original_id]
    logits, differences, checks = [], [], []
    for name, recording in zip(MODELS, recordings):
        reader, points = readout(recording.bridge), stream(recording)
        logits.append(_numbers(reader.logits_of(points, candidates)))
        differences.append(_numbers(reader.logit_diff(points, *candidates)))
        run = recording.next_token_logits[candidates].double()
        residuals = (
            differences[-1][-1] - float(run[0] - run[1]),
            logits[-1][:, 0] - logits[-1][:, 1] - differences[-1],
        )
        said = "after the last layer = logit_diff", "answer − original = logit_diff at every point"
        checks += [
            Check(f"{name}: {text}", float(np.abs(residual).max()), rounding(recording.bridge))
            for text, residual in zip(said, residuals)
        ]
    return Depth(
        at=np.array([point for point, _ in _points(recordings[0])]),
        answer=prompt.answer,
        original=prompt.original,
        logit_answer=np.stack([both[:, 0] for both in logits]),
        logit_original=np.stack([both[:, 1] for both in logits]),
        logit_diff=np.stack(differences),
        checks=tuple(checks),
    )


def stream(recording: Recording) -> Float[Tensor, "point d_model"]:
    """The residual stream at END, from the embedding to the end of the last layer."""
    return torch.stack([x[0, -1] for _, x in _points(recording)])


def _points(recording: Recording) -> list[tuple[float, Tensor]]:
    """(where along the depth, the stream there): a layer's number before it, half a layer further within it."""
    layers = recording.bridge.cfg.n_layers
    names = ((layer + half, f"blocks.{layer}.hook_resid_{name}") for layer in range(layers) for half, name in _OF_LAYER)
    within = [(at, recording.activations[name]) for at, name in names if name in recording.activations]
    return [*within, (float(layers), recording.activations["ln_final.hook_in"])]


_OF_LAYER = ((0.0, "pre"), (0.5, "mid"))


def _numbers(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()
