"""What analyses return: frozen dataclasses of NumPy arrays, each with its tidy table.

Nothing here knows torch. Axes are named in each field's docstring; the axis `model` is always (base, instruct).
Layers, heads and positions count from 0. Absent numbers are NaN in arrays and null in exports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

MODELS = ("base", "instruct")
Projection = Literal["own", "base", "instruct"]  # whose unembedding is projected on


def head_name(layer: int, head: int) -> str:
    return f"L{layer}H{head}"


def group_name(layer: int, group: int) -> str:
    return f"L{layer}KV{group}"


@dataclass(frozen=True)
class Check:
    """An identity that the numbers must hold: its name, the largest residual, and what is still rounding."""

    name: str
    residual: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.residual <= self.tolerance


def checks_frame(checks: tuple[Check, ...]) -> pd.DataFrame:
    return pd.DataFrame([(c.name, c.residual) for c in checks], columns=["name", "residual"])


@dataclass(frozen=True)
class TopTokens:
    """The most likely next tokens of one model at END, most likely first.

    ids, strings: the tokens; prob: probability; logit: in float32, after the model's own soft cap if it has one.
    """

    ids: tuple[int, ...]
    strings: tuple[str, ...]
    prob: np.ndarray
    logit: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame({"token": self.strings, "id": self.ids, "prob": self.prob, "logit": self.logit})


@dataclass(frozen=True)
class Summary:
    """Logit difference of both models at END. Every array has axis (model,).

    logit_answer, logit_original, logit_diff: before a soft cap where the model has one, float32, in logits.
    capped_diff: the difference after the soft cap; equal to logit_diff in models without one.
    prob_*, rank_*: probability and rank (0 = most likely) of each candidate over the vocabulary.
    top: the models' top next tokens; suggestions: INSTRUCT's top tokens that are not the original in any casing.
    """

    logit_answer: np.ndarray
    logit_original: np.ndarray
    logit_diff: np.ndarray
    capped_diff: np.ndarray
    prob_answer: np.ndarray
    prob_original: np.ndarray
    rank_answer: np.ndarray
    rank_original: np.ndarray
    top: tuple[TopTokens, TopTokens]
    suggestions: tuple[str, ...]

    @property
    def gap(self) -> float:
        """logit_diff(INSTRUCT) − logit_diff(BASE), in logits."""
        return float(self.logit_diff[1] - self.logit_diff[0])

    def to_frame(self) -> pd.DataFrame:
        columns = ("logit_answer", "logit_original", "logit_diff", "prob_answer", "prob_original", "rank_answer")
        table = {"model": MODELS} | {name: getattr(self, name) for name in (*columns, "rank_original")}
        return pd.DataFrame(table)


@dataclass(frozen=True)
class Attribution:
    """Direct logit attribution at END, in logits of logit_diff (before a soft cap).

    embed: (model,) what the residual stream enters layer 0 with.
    attn, mlp: (model, layer) a layer's whole attention and MLP output.
    head: (model, layer, head) one head's output through W_O, and through the block's own post-norm where it has one.
    attn_bias: (model, layer) the attention output bias (0 where there is none).
    bias: (model,) the final norm's and the unembedding's bias (0 in Llama).
    scale: (model,) 1/rms of the final residual (1/std for a LayerNorm).
    projection: whose unembedding was projected on: "own", "base" or "instruct".
    total: (model,) the logit difference that the components sum to, read through that projection.
    """

    embed: np.ndarray
    attn: np.ndarray
    mlp: np.ndarray
    head: np.ndarray
    attn_bias: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    projection: str
    total: np.ndarray
    checks: tuple[Check, ...]

    def to_frame(self) -> pd.DataFrame:
        rows: list[tuple[object, ...]] = []
        for m, model in enumerate(MODELS):
            rows.append((model, "embed", None, None, self.embed[m]))
            for layer in range(self.attn.shape[1]):
                rows.append((model, "attn", layer, None, self.attn[m, layer]))
                rows.append((model, "mlp", layer, None, self.mlp[m, layer]))
                if self.attn_bias[m, layer]:
                    rows.append((model, "bias", layer, None, self.attn_bias[m, layer]))
                rows += [(model, "head", layer, h, value) for h, value in enumerate(self.head[m, layer])]
            rows.append((model, "bias", None, None, self.bias[m]))
        return _nullable(rows, ["model", "component", "layer", "head", "value"])

    def top_heads(self, count: int | None = None) -> pd.DataFrame:
        """Heads by the size of their change: head, layer, index, base, instruct, change (instruct − base)."""
        change = self.head[1] - self.head[0]
        order = np.argsort(-np.abs(change), axis=None)[:count]
        rows = []
        for layer, h in zip(*np.unravel_index(order, change.shape)):
            base, instruct = self.head[:, layer, h]
            rows.append((head_name(layer, h), int(layer), int(h), base, instruct, change[layer, h]))
        return pd.DataFrame(rows, columns=["name", "layer", "head", "base", "instruct", "change"])


@dataclass(frozen=True)
class Depth:
    """The logit lens: what the residual stream at END would give at each point of the depth, in logits, before a cap.

    at: (point,) layers passed: 3.0 before layer 3, 3.5 between its attention and its MLP, n_layers after the last.
    logit_answer, logit_original, logit_diff: (model, point). answer, original: the candidates' tokens.
    """

    at: np.ndarray
    answer: str
    original: str
    logit_answer: np.ndarray
    logit_original: np.ndarray
    logit_diff: np.ndarray
    checks: tuple[Check, ...]

    @property
    def names(self) -> list[str]:
        """Where each point is, in words."""
        within = ["before layer {}" if at == int(at) else "within layer {}, after its attention" for at in self.at]
        return [*(name.format(int(at)) for name, at in zip(within[:-1], self.at)), "after the last layer"]

    def overtakes(self, model: int) -> int | None:
        """The first point from which on the answer stays above the original; None where it ends below it."""
        below = np.flatnonzero(~(self.logit_diff[model] > 0))
        first = int(below[-1]) + 1 if len(below) else 0
        return first if first < len(self.at) else None

    def to_frame(self) -> pd.DataFrame:
        """One row a model and point: stream names the activation, layer the one it is read in, none after the last."""
        last = len(self.at) - 1
        streams = ["resid_pre" if at == int(at) else "resid_mid" for at in self.at[:last]]
        table = {
            "model": np.repeat(MODELS, last + 1),
            "layer": pd.array([*map(int, self.at[:last]), None] * 2, dtype="Int64"),
            "stream": [*streams, "final"] * 2,
        }
        columns = ("logit_answer", "logit_original", "logit_diff")
        return pd.DataFrame(table | {name: getattr(self, name).ravel() for name in columns})


def _nullable(rows: list[tuple[object, ...]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    for name in ("layer", "head"):
        if name in frame:
            frame[name] = frame[name].astype("Int64")
    return frame
