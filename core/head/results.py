"""What is known about one head, BASE beside INSTRUCT. Torch-free; axes as in `core.results`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.measures import MEASURES, Measures
from core.results import MODELS, Check, group_name, head_name

# What the OV circuit is fed with: see `core.head.ov_circuit`.
OvInput = Literal["recorded", "embedding", "effective"]
# A token stands at an end of the vocabulary when at most this share of the other tokens lies beyond it.
EDGE = 0.01
# What is patched of one head: alone, then jointly with the query heads of its KV group; sites of `core.patching.plan`.
ALONE = ("z", "value_only", "pattern_only", "result")
TOGETHER = ("joint_z", "joint_value_only", "joint_pattern_only", "v")
HEAD_PATCHES = ALONE + TOGETHER


@dataclass(frozen=True)
class OvTokens:
    """Tokens at one end of a vocabulary, the outermost first. value: logits at attention 1, vocabulary mean removed."""

    ids: tuple[int, ...]
    strings: tuple[str, ...]
    value: np.ndarray


@dataclass(frozen=True)
class OvCircuit:
    """What attending to a token writes to every token's logit at END, by the direct path, at attention weight 1.

    Logits have the vocabulary's mean removed (a shift of all logits changes no prediction). See `core.head.ov_circuit`
    for the inputs and what is left out.

    position: the chosen source; promoted, suppressed: (model,) its tokens at either end.
    own: (model, pos) what attending to a position adds to that position's own token, in logits.
    above, below: (model, pos) how many tokens of the vocabulary are promoted strictly more and less than its own.
    difference: (model, pos) what it adds to logit_diff; times A this is what the position writes ("recorded" only).
    vocab: size of the vocabulary. tokens: the prompt's. skip: positions of special tokens, which nothing copies.
    """

    layer: int
    head: int
    position: int
    ov_input: str
    promoted: tuple[OvTokens, OvTokens]
    suppressed: tuple[OvTokens, OvTokens]
    own: np.ndarray
    above: np.ndarray
    below: np.ndarray
    difference: np.ndarray
    vocab: int
    tokens: tuple[str, ...]
    skip: tuple[int, ...]

    @property
    def own_rank(self) -> np.ndarray:
        """(model,) rank of the chosen token under its own OV; 0 = promoted most, vocab − 1 = suppressed most."""
        return self.above[:, self.position]

    def kinds(self, position: int | None = None) -> tuple[str, str]:
        """(model,) "copying" | "suppressing" | "neither": whether the token lies in its own outermost 1%."""
        at = self.position if position is None else position
        base, instruct = (_kind(self.above[m, at], self.below[m, at], self.vocab) for m in range(len(MODELS)))
        return base, instruct

    def counts(self) -> dict[str, np.ndarray]:
        """(model,) how many of the prompt's positions it would copy, suppress, or neither; special ones left out."""
        kinds = np.array([self.kinds(at) for at in range(len(self.tokens)) if at not in self.skip]).reshape(-1, 2)
        return {kind: (kinds == kind).sum(0) for kind in ("copying", "suppressing", "neither")}

    def to_frame(self) -> pd.DataFrame:
        """model, side (promoted | suppressed), rank, id, token, value: the chosen source's tables."""
        rows = []
        for side in ("promoted", "suppressed"):
            for model, table in zip(MODELS, getattr(self, side)):
                rows += [
                    (model, side, n, *row) for n, row in enumerate(zip(table.ids, table.strings, table.value.tolist()))
                ]
        return pd.DataFrame(rows, columns=["model", "side", "rank", "id", "token", "value"])


def _kind(above: int, below: int, vocab: int) -> str:
    edge = EDGE * (vocab - 1)
    # Both counts are asked for: a head that writes nothing ties every token and is neither.
    if above <= edge and below >= vocab - 1 - edge:
        return "copying"
    return "suppressing" if below <= edge and above >= vocab - 1 - edge else "neither"


@dataclass(frozen=True)
class WeightChange:
    """How far fine-tuning moved a layer's attention weights: ‖W_INSTRUCT − W_BASE‖ / ‖W_BASE‖, Frobenius, no unit.

    q, o: (head,) W_Q and W_O of each query head; k, v: (group,) W_K and W_V of each KV group. Biases and the norms that
    some families put on queries and keys are not part of it. NaN where W_BASE is zero.
    """

    layer: int
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    o: np.ndarray

    def group(self, head: int) -> int:
        return head // (len(self.q) // len(self.k))

    def of(self, head: int) -> pd.DataFrame:
        """One head among its layer's: weight, name, value, median, rank (0 = moved most), count."""
        rows = []
        for weight, values in self._weights():
            grouped = weight in ("W_K", "W_V")
            n = self.group(head) if grouped else head
            rank = int((values > values[n]).sum())
            name = group_name(self.layer, n) if grouped else head_name(self.layer, n)
            rows.append((weight, name, values[n], float(np.median(values)), rank, len(values)))
        return pd.DataFrame(rows, columns=["weight", "name", "value", "median", "rank", "count"])

    def to_frame(self) -> pd.DataFrame:
        """weight, layer, index (query head of W_Q and W_O, KV group of W_K and W_V), value."""
        rows = [(weight, self.layer, n, value) for weight, values in self._weights() for n, value in enumerate(values)]
        return pd.DataFrame(rows, columns=["weight", "layer", "index", "value"])

    def _weights(self) -> tuple[tuple[str, np.ndarray], ...]:
        return (("W_Q", self.q), ("W_K", self.k), ("W_V", self.v), ("W_O", self.o))


@dataclass(frozen=True)
class HeadScores:
    """Mean attention on random repeated tokens, 0 to 1. Arrays have axes (model, layer, head).

    previous: to the position before. induction: from a token of the second copy to the one that followed it in the
    first. first: to position 0, the attention sink, which is a BOS if `has_bos`.
    sequences, length: how many were run, and how many random tokens are repeated in each.
    """

    previous: np.ndarray
    induction: np.ndarray
    first: np.ndarray
    has_bos: bool
    sequences: int
    length: int

    def of(self, layer: int, head: int) -> dict[str, np.ndarray]:
        """(model,) each score of one head: previous, induction, and `bos`, or `first` where the first token is none."""
        arrays = {"previous": self.previous, "induction": self.induction}
        arrays["bos" if self.has_bos else "first"] = self.first
        return {name: array[:, layer, head] for name, array in arrays.items()}

    def to_frame(self) -> pd.DataFrame:
        """model, layer, head, previous, induction, first, bos (the same where the first token is one, else NaN)."""
        model, layer, head = np.indices(self.first.shape).reshape(3, -1)
        columns = {"model": np.array(MODELS, dtype=object)[model], "layer": layer, "head": head}
        arrays = {"previous": self.previous, "induction": self.induction, "first": self.first}
        arrays["bos"] = self.first if self.has_bos else np.full(self.first.shape, np.nan)
        return pd.DataFrame(columns | {name: array.reshape(-1) for name, array in arrays.items()})


@dataclass(frozen=True)
class HeadReport:
    """One head on one prompt.

    group: its KV group; group_heads: the query heads that read that group's values, itself included.
    weight, value_weighted, written: (model, pos) from END, as in `core.attention_results.Attention`.
    pattern: (model, query, source) post-softmax. ov: the OV circuit. weights: its layer's change by fine-tuning.
    projection: whose unembedding `written` is projected on.
    """

    layer: int
    head: int
    group: int
    group_heads: tuple[int, ...]
    tokens: tuple[str, ...]
    weight: np.ndarray
    value_weighted: np.ndarray
    written: np.ndarray
    pattern: np.ndarray
    ov: OvCircuit
    weights: WeightChange
    projection: str
    checks: tuple[Check, ...]

    @property
    def name(self) -> str:
        return head_name(self.layer, self.head)

    @property
    def dla(self) -> np.ndarray:
        """(model,) direct logit attribution at END, in logits."""
        total: np.ndarray = self.written.sum(-1)
        return total

    @property
    def moved_output(self) -> float:
        """How far fine-tuning moved its W_O, as in `WeightChange`; 0 where that is not known."""
        return float(np.nan_to_num(self.weights.o[self.head]))

    def to_frame(self) -> pd.DataFrame:
        """By source token: model, position, token, attention, value_weighted, written."""
        model, position = np.indices(self.weight.shape).reshape(2, -1)
        columns = {
            "model": np.array(MODELS, dtype=object)[model],
            "position": position,
            "token": np.array(self.tokens, dtype=object)[position],
        }
        arrays = {"attention": self.weight, "value_weighted": self.value_weighted, "written": self.written}
        return pd.DataFrame(columns | {name: array.reshape(-1) for name, array in arrays.items()})


@dataclass(frozen=True)
class HeadPatches:
    """One head's patches in one direction. logit_diff: (patch,) of the patched recipient, in the order of HEAD_PATCHES.

    group: its KV group; group_heads: the query heads that the joint patches and the group's value patch move.
    floors: (patch,) what rounding alone moves, in logits: one floor for those of ALONE, one for those of TOGETHER.
    """

    layer: int
    head: int
    group: int
    group_heads: tuple[int, ...]
    gap: Gap
    logit_diff: np.ndarray
    floors: np.ndarray
    measures: Measures | None = None

    @property
    def effect(self) -> dict[str, float]:
        """patch → patch_effect, in logits."""
        return dict(zip(HEAD_PATCHES, self.gap.effect(self.logit_diff).tolist()))

    @property
    def score(self) -> dict[str, float]:
        """patch → patch_score; NaN where the gap is too small for one."""
        return dict(zip(HEAD_PATCHES, self.gap.score(self.logit_diff).tolist()))

    @property
    def noise_floor(self) -> dict[str, float]:
        """patch → its noise floor, in logits."""
        return dict(zip(HEAD_PATCHES, self.floors.tolist()))

    @property
    def within_noise(self) -> dict[str, bool]:
        """patch → whether its effect is no larger than its noise floor."""
        return {patch: abs(effect) <= self.noise_floor[patch] for patch, effect in self.effect.items()}

    def to_frame(self) -> pd.DataFrame:
        """direction, patch, of (a head or a KV group), logit_diff, effect, score, noise_floor, and every measure."""
        names = (head_name(self.layer, self.head), group_name(self.layer, self.group))
        measures = self.measures or Measures.nothing(len(HEAD_PATCHES))
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "patch": HEAD_PATCHES,
                "of": [names[patch in TOGETHER] for patch in HEAD_PATCHES],
                "logit_diff": self.logit_diff,
                "effect": list(self.effect.values()),
                "score": list(self.score.values()),
                "noise_floor": list(self.noise_floor.values()),
                **{name: getattr(measures, name) for name in MEASURES},
            }
        )
