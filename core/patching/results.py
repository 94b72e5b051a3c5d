"""What patching returns: frozen dataclasses of NumPy arrays, each with its tidy table. Nothing here knows torch.

Sign and normalisation are those of `core.patching.gap`. NaN marks a cell that has not run yet, or a score that does not
exist. Each result knows the noise floor of its cells, that of the third of the depth in which their lowest patch lies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.measures import Measures
from core.patching.plan import DONOR, unit
from core.patching.scored import Scored
from core.results import group_name, head_name


@dataclass(frozen=True)
class Sweep(Scored):
    """One site patched at every place of every layer, each in a run of its own.

    logit_diff: (layer, column) of the patched recipient at END; a column is a query head, a KV group for sites of
    groups, and the only one (0) for sites of a whole layer, or of what a model has once (then one cell in all).
    positions: "all", "end" or an index. source: as in `core.patching.plan`.
    """

    site: str
    positions: str | int
    gap: Gap
    logit_diff: np.ndarray
    measures: Measures | None = None
    source: str = DONOR

    @property
    def unit(self) -> str:
        """What a column is: "head", "group", "layer" or "model"."""
        return unit(self.site)

    @property
    def layer(self) -> np.ndarray:
        return np.array([[self.gap.floor.layers - 1]]) if self.site == "w_final" else super().layer

    def name(self, layer: int, column: int) -> str:
        if self.unit == "model":
            return {"w_embed": "embedding", "w_final": "unembedding"}[self.site]
        return {"head": head_name, "group": group_name}.get(self.unit, lambda n, _: f"L{n}")(layer, column)

    def to_frame(self) -> pd.DataFrame:
        """One row a cell; `head` is the KV group for sites of groups, absent with `layer` where there is none."""
        layers, columns = self.logit_diff.shape
        layer, head = np.indices(self.logit_diff.shape).reshape(2, -1)
        absent = [None] * (layers * columns)
        frame = pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "layer": pd.array(absent if self.unit == "model" else layer, dtype="Int64"),
                "head": pd.array(head if self.unit in ("head", "group") else absent, dtype="Int64"),
                **self.raveled(),
            }
        )
        return frame

    def top(self, count: int | None = None) -> list[tuple[int, int]]:
        """The (layer, column) cells that ran, largest movement towards the donor first."""
        towards = self.towards_donor
        order = np.argsort(-np.where(np.isfinite(towards), towards, -np.inf), axis=None, kind="stable")[: self.done]
        return [(int(n // towards.shape[1]), int(n % towards.shape[1])) for n in order[:count]]

    def furthest(self, count: int | None = None) -> list[tuple[int, int]]:
        """The (layer, column) cells that ran, largest movement first, whether towards the donor or away from it."""
        towards = self.towards_donor
        return sorted(self.top(), key=lambda cell: -abs(towards[cell]))[:count]


@dataclass(frozen=True)
class PositionMap(Scored):
    """A whole layer's site patched at one position at a time. logit_diff: (layer, position)."""

    site: str
    gap: Gap
    logit_diff: np.ndarray
    measures: Measures | None = None

    def to_frame(self) -> pd.DataFrame:
        layers, positions = self.logit_diff.shape
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "layer": np.repeat(np.arange(layers), positions),
                "position": np.tile(np.arange(positions), layers),
                **self.raveled(),
            }
        )


@dataclass(frozen=True)
class Sets(Scored):
    """Sets of heads (or KV groups), each patched at once in a run of its own.

    members: per set, its (layer, head); logit_diff: (set,).
    """

    site: str
    positions: str | int
    members: tuple[tuple[tuple[int, int], ...], ...]
    gap: Gap
    logit_diff: np.ndarray
    measures: Measures | None = None

    @property
    def layer(self) -> np.ndarray:
        return np.array([min(layer for layer, _ in members) for members in self.members], int)

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "set": [_set_name(members, self.site) for members in self.members],
                "size": [len(members) for members in self.members],
                **self.raveled(),
            }
        )


@dataclass(frozen=True)
class Pairs(Scored):
    """Some heads alone and two at a time. logit_diff: (head, head), symmetric; on the diagonal the head alone."""

    site: str
    positions: str | int
    members: tuple[tuple[int, int], ...]
    gap: Gap
    logit_diff: np.ndarray
    measures: Measures | None = None

    @property
    def layer(self) -> np.ndarray:
        layers = np.array([layer for layer, _ in self.members], int)
        lower: np.ndarray = np.minimum.outer(layers, layers)
        return lower

    @property
    def interaction(self) -> np.ndarray:
        """(head, head) effect(a, b) − effect(a) − effect(b), in logits; NaN on the diagonal."""
        return _interaction(self.effect)

    @property
    def score_interaction(self) -> np.ndarray:
        """The same of scores: S(a, b) − S(a) − S(b)."""
        return _interaction(self.score)

    @property
    def interaction_within_noise(self) -> np.ndarray:
        """(head, head) where the interaction is no larger than three runs' noise together, added in quadrature."""
        squares = self.noise_floor**2
        single = np.diag(squares)
        with np.errstate(invalid="ignore"):
            within: np.ndarray = np.abs(self.interaction) <= np.sqrt(squares + single[:, None] + single[None, :])
        return within

    def to_frame(self) -> pd.DataFrame:
        a, b = np.triu_indices(len(self.members))
        names = [_set_name((member,), self.site) for member in self.members]
        columns = self.columns()
        columns |= {"interaction": self.interaction, "score_interaction": self.score_interaction}
        frame: dict[str, object] = {"direction": self.gap.direction, "site": self.site}
        frame |= {"a": [names[i] for i in a], "b": [names[i] for i in b]}
        order = dict.fromkeys(("logit_diff", "effect", "score", "interaction", "score_interaction", *columns))
        return pd.DataFrame(frame | {name: columns[name][a, b] for name in order})


@dataclass(frozen=True)
class Greedy(Scored):
    """A circuit built up one head at a time, each time the one with which the set comes closest to the donor.

    members: (layer, head) in the order of their choice; logit_diff: (step,) with the first 1, 2, … members patched;
    candidates: how many heads each step chose from at first; steps: how many were asked for. ended: whether no other
    head brought the set closer by more than the noise floor; then members may be fewer, even none.
    """

    site: str
    positions: str | int
    members: tuple[tuple[int, int], ...]
    gap: Gap
    logit_diff: np.ndarray
    candidates: int
    steps: int
    ended: bool = False
    measures: Measures | None = None

    @property
    def layer(self) -> np.ndarray:
        return np.minimum.accumulate(np.array([layer for layer, _ in self.members], int))

    @property
    def complete(self) -> bool:
        return self.ended or len(self.members) == self.steps

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "step": np.arange(1, len(self.members) + 1),
                "added": [_set_name((member,), self.site) for member in self.members],
                **self.raveled(),
            }
        )


@dataclass(frozen=True)
class Estimate:
    """Attribution patching: a **first-order estimate** of a sweep over all positions, not a patched run.

    effect: (layer, column) like the sweep's: (donor activation − recipient activation) · gradient, in logits.
    """

    site: str
    gap: Gap
    effect: np.ndarray

    @property
    def score(self) -> np.ndarray:
        return self.gap.score(self.effect + self.gap.recipient)

    def as_sweep(self) -> Sweep:
        """The estimate in a sweep's form, for the same charts; label it."""
        return Sweep(self.site, "all", self.gap, self.effect + self.gap.recipient)


@dataclass(frozen=True)
class Agreement:
    """Of an estimate with the exact effects of the `cells` that have run.

    correlation: Spearman's, of ranks; NaN below 3 cells. overlap: how many of the `most` cells with the largest exact
    effects, in either direction, are among as many of the largest estimates; ratio: Σ |estimate| / Σ |exact| over
    those with the largest exact ones, NaN where these are all 0.
    """

    correlation: float
    cells: int
    overlap: int
    most: int
    ratio: float


def agreement(estimate: Estimate, sweep: Sweep, most: int = 8) -> Agreement:
    """How well the estimate ranks what has run so far; the score's normalisation cannot change it."""
    ran = np.isfinite(sweep.logit_diff)
    exact, estimated = sweep.effect[ran], estimate.effect[ran]
    sizes, guessed = np.abs(exact), np.abs(estimated)
    first, others = (np.argsort(-each, kind="stable")[:most] for each in (sizes, guessed))
    whole = sizes[first].sum()
    ratio = float(guessed[first].sum() / whole) if whole > 0 else float("nan")
    found = Agreement(float("nan"), len(exact), len(set(first) & set(others)), len(first), ratio)
    if len(exact) < 3 or np.ptp(exact) == 0 or np.ptp(estimated) == 0:
        return found
    # Pearson's of the ranks, ties shared. Importing SciPy's statistics takes 0.5 s that a first visit would wait for.
    ranks = [pd.Series(values).rank() for values in (estimated, exact)]
    return replace(found, correlation=float(np.corrcoef(*ranks)[0, 1]))


def _interaction(values: np.ndarray) -> np.ndarray:
    single = np.diag(values)
    interaction = values - single[:, None] - single[None, :]
    np.fill_diagonal(interaction, np.nan)
    return interaction


def _set_name(members: tuple[tuple[int, int], ...], site: str) -> str:
    kind = unit(site)
    if kind == "layer":
        return " + ".join(f"L{layer}" for layer, _ in members)
    name = group_name if kind == "group" else head_name
    return " + ".join(name(layer, column) for layer, column in members)
