"""What an analysis of one MLP's neurons returns: frozen dataclasses of NumPy arrays, each with its tidy table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.measures import Measures
from core.patching.scored import Scored
from core.results import Check


@dataclass(frozen=True)
class Neurons:
    """The neurons of one layer's MLP whose direct share of the logit difference differs most between the models.

    neuron: (n,) their numbers, largest |INSTRUCT − BASE| first; of: how many the layer has.
    activation, direct: (model, n) at END: what each is, and what it writes in logits.
    promoted, suppressed: of the first neurons, the tokens that INSTRUCT's W_out row raises and lowers most, for an
    activation above 0.
    total, bias: (model,) the whole MLP's direct share, and that of its output bias.
    """

    layer: int
    neuron: np.ndarray
    of: int
    activation: np.ndarray
    direct: np.ndarray
    promoted: tuple[tuple[str, ...], ...]
    suppressed: tuple[tuple[str, ...], ...]
    total: np.ndarray
    bias: np.ndarray
    checks: tuple[Check, ...]

    @property
    def change(self) -> np.ndarray:
        """(n,) INSTRUCT − BASE of what each writes."""
        change: np.ndarray = self.direct[1] - self.direct[0]
        return change

    def to_frame(self) -> pd.DataFrame:
        """One row a neuron, largest change first."""
        base, instruct = self.direct
        numbers = {"layer": self.layer, "neuron": self.neuron, "base": base, "instruct": instruct}
        numbers |= {"change": self.change}
        return pd.DataFrame(
            numbers | {"activation_base": self.activation[0], "activation_instruct": self.activation[1]}
        )


@dataclass(frozen=True)
class NeuronPatches(Scored):
    """Neurons of one layer's MLP taken from the donor, at all positions: some alone, then growing sets of the first.

    in_layer: the layer. neuron: (n,) those patched alone, in the order of `Neurons`. sizes: (set,) how many of the
    first neurons of that order a set has; the last set has all. logit_diff, floors: (n + set,), singles first.
    """

    in_layer: int
    neuron: np.ndarray
    sizes: np.ndarray
    gap: Gap
    logit_diff: np.ndarray
    floors: np.ndarray
    measures: Measures | None = None

    @property
    def layer(self) -> np.ndarray:
        return np.full(len(self.logit_diff), self.in_layer)

    @property
    def noise_floor(self) -> np.ndarray:
        return self.floors

    @property
    def of_layer(self) -> np.ndarray:
        """(set,) the sets' effects as shares of that of all neurons; NaN where that is no more than noise."""
        sets = self.effect[len(self.neuron) :]
        return np.full(len(sets), np.nan) if self.within_noise[-1] else sets / sets[-1]

    def to_frame(self) -> pd.DataFrame:
        """One row a run: `neuron` of a single one, `size` of what was patched."""
        single, sets = [*map(int, self.neuron)], [*map(int, self.sizes)]
        frame = {
            "direction": self.gap.direction,
            "layer": self.in_layer,
            "neuron": pd.array([*single, *[None] * len(sets)], dtype="Int64"),
            "size": [*[1] * len(single), *sets],
        }
        return pd.DataFrame(frame | self.raveled() | {"of_layer": [*[np.nan] * len(single), *self.of_layer]})
