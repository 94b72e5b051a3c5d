"""What RECOGNIZE returns: both models under several instructions, and the heads that carry the instruction.

The axis `model` is (base, instruct, change), change = INSTRUCT − BASE prompt by prompt. Nothing here knows torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.results import MODELS
from core.sets.averages import SETS_MODELS
from core.sets.entries import Refused
from core.sets.statistics import Average, Ratio

OWN, SCRAMBLED, NONE = "own", "scrambled", "none"
# Of each task the wording that is shown; the counter-instruction may be any other of its own.
FIXED = {
    "repeat": "Repeat the following sentence",
    "opposite": "Reverse all the adjectives of the following sentence",
    "remove": "Remove all the adjectives of the following sentence",
}
TASKS = tuple(FIXED)
KINDS = (OWN, *TASKS, SCRAMBLED, NONE)
_COLUMNS = ("mean", "se", "ci_low", "ci_high", "same_sign")


def set_up_of(task: str = "") -> dict[str, object]:
    """What is asked of every prompt, for `core.sets.kept.set_up`: the instructions, or the heads against a task."""
    return {"counter": task} if task else {"instructions": KINDS, **FIXED}


@dataclass(frozen=True)
class Instructed:
    """The same sentences under several instructions.

    usable, ran: prompts that can be run, and that have. logit_diff: kind → (model,). contrast: kind → (model,) of
    own − that kind, over the prompts that have both; its change is the difference in differences. wordings: kind → an
    instruction as it was put, of the first prompt. left_out: (kind, reason) → how many prompts.
    """

    usable: int
    ran: int
    logit_diff: Mapping[str, Average]
    contrast: Mapping[str, Average]
    wordings: Mapping[str, str]
    left_out: Mapping[tuple[str, str], int]
    refused: tuple[Refused, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a kind, measure and model."""
        frames = [
            pd.DataFrame(
                {"instruction": kind, "measure": measure, "model": SETS_MODELS, "n": found.n} | _columns(found)
            )
            for measure, of in (("logit_diff", self.logit_diff), ("own_minus_this", self.contrast))
            for kind, found in of.items()
        ]
        return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class Recognized:
    """Heads that carry the instruction beside heads that carry the replacement.

    Cross-prompt: in one model, z of one head taken from the run under the own instruction into the run under the
    counter-instruction. gap: (model,) own − counter, in logits; effect: (model, layer, head); ratio: (model, layer,
    head) mean effect / mean gap, NaN where the mean gap carries no share. Replacement: z INSTRUCT → BASE on the own
    prompt, (layer, head). counters: instruction → its counter; without: instruction → why it has none.
    """

    usable: int
    ran: int
    task: str
    gap: Average
    effect: Average
    ratio: Ratio
    replacement: Average
    replacement_ratio: Ratio
    counters: Mapping[str, str]
    without: Mapping[str, str]
    refused: tuple[Refused, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a model and head: the cross-prompt patch, and beside it the replacement's."""
        model, layer, head = np.indices(self.effect.mean.shape).reshape(3, -1)
        named = {"model": np.asarray(MODELS, object)[model], "layer": layer, "head": head, "n": self.effect.n}
        shares = {name: getattr(self.ratio, field).ravel() for name, field in _RATIO.items()}
        beside = {f"replacement_{name}": getattr(self.replacement, name)[layer, head] for name in _COLUMNS}
        beside["replacement_ratio"] = self.replacement_ratio.value[layer, head]
        return pd.DataFrame(named | _columns(self.effect) | shares | beside)


_RATIO = {"ratio": "value", "ratio_low": "ci_low", "ratio_high": "ci_high"}


def _columns(found: Average) -> dict[str, np.ndarray]:
    return {name: getattr(found, name).ravel() for name in _COLUMNS}
