"""What patching returns: frozen dataclasses of NumPy arrays, each with its tidy table. Nothing here knows torch.

Sign and normalisation: effect = logit_diff(patched recipient) − logit_diff(recipient), in logits;
score = effect / (logit_diff(donor) − logit_diff(recipient)), 0 = no change, 1 = the whole gap moved. Where the gap is
smaller than 0.5 logits or negative there are no scores, only effects. NaN marks a cell that has not run yet, or a score
that does not exist. base_to_instruct has a gap of its own: INSTRUCT is the recipient, and the gap counts downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.patching.plan import unit
from core.results import group_name, head_name

MIN_GAP = 0.5  # logits


@dataclass(frozen=True)
class Gap:
    """The two plain runs that effects and scores are measured against, in logits of logit_diff.

    recipient: of the model that runs; donor: of the model that activations come from; noise: the largest effect of
    patching the recipient's own activation, NaN before anything ran.
    """

    direction: str
    recipient: float
    donor: float
    noise: float = float("nan")

    @property
    def size(self) -> float:
        """How far INSTRUCT's logit difference lies above BASE's."""
        return self._sign * (self.donor - self.recipient)

    @property
    def _sign(self) -> int:
        return 1 if self.direction == "instruct_to_base" else -1

    @property
    def reason(self) -> str | None:
        """Why there are no scores, or None when there are."""
        if self.size >= MIN_GAP:
            return None
        what = "negative" if self.size < 0 else f"smaller than {MIN_GAP} logits"
        return (
            f"INSTRUCT's logit difference minus BASE's is {self.size:+.2f} logits, {what}: "
            "a share of it would mislead, so only effects are shown"
        )

    def effect(self, logit_diff: np.ndarray) -> np.ndarray:
        return np.asarray(logit_diff) - self.recipient

    def score(self, logit_diff: np.ndarray) -> np.ndarray:
        effect = self.effect(logit_diff)
        return np.full_like(effect, np.nan) if self.reason else effect / (self.donor - self.recipient)


class _Scored:
    """What every result with `gap` and `logit_diff` shares."""

    gap: Gap
    logit_diff: np.ndarray

    @property
    def effect(self) -> np.ndarray:
        return self.gap.effect(self.logit_diff)

    @property
    def score(self) -> np.ndarray:
        return self.gap.score(self.logit_diff)

    @property
    def towards_donor(self) -> np.ndarray:
        """The effect, counted in the donor's direction: what a ranking goes by, with or without scores."""
        return self.effect * np.sign(self.gap.donor - self.gap.recipient)

    @property
    def done(self) -> int:
        """How many cells have run."""
        return int(np.isfinite(self.logit_diff).sum())

    @property
    def total(self) -> int:
        return self.logit_diff.size

    @property
    def complete(self) -> bool:
        return self.done == self.total


@dataclass(frozen=True)
class Sweep(_Scored):
    """One site patched at every place of every layer, each in a run of its own.

    logit_diff: (layer, column) of the patched recipient at END; a column is a query head, a KV group for sites of
    groups, and the only one (0) for sites of a whole layer. positions: "all", "end" or an index.
    """

    site: str
    positions: str | int
    gap: Gap
    logit_diff: np.ndarray

    @property
    def unit(self) -> str:
        """What a column is: "head", "group" or "layer"."""
        return unit(self.site)

    def name(self, layer: int, column: int) -> str:
        return {"head": head_name, "group": group_name}.get(self.unit, lambda n, _: f"L{n}")(layer, column)

    def to_frame(self) -> pd.DataFrame:
        """One row a cell; `head` is the KV group for sites of groups, and absent for whole layers."""
        layers, columns = self.logit_diff.shape
        head = np.tile(np.arange(columns), layers)
        frame = pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "layer": np.repeat(np.arange(layers), columns),
                "head": pd.array([None] * layers if self.unit == "layer" else head, dtype="Int64"),
                "logit_diff": self.logit_diff.ravel(),
                "effect": self.effect.ravel(),
                "score": self.score.ravel(),
            }
        )
        return frame.astype({"layer": "Int64"})

    def top(self, count: int | None = None) -> list[tuple[int, int]]:
        """The (layer, column) cells that ran, largest movement towards the donor first."""
        towards = self.towards_donor
        order = np.argsort(-np.where(np.isfinite(towards), towards, -np.inf), axis=None, kind="stable")[: self.done]
        return [(int(n // towards.shape[1]), int(n % towards.shape[1])) for n in order[:count]]


@dataclass(frozen=True)
class PositionMap(_Scored):
    """A whole layer's site patched at one position at a time. logit_diff: (layer, position)."""

    site: str
    gap: Gap
    logit_diff: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        layers, positions = self.logit_diff.shape
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "layer": np.repeat(np.arange(layers), positions),
                "position": np.tile(np.arange(positions), layers),
                "logit_diff": self.logit_diff.ravel(),
                "effect": self.effect.ravel(),
                "score": self.score.ravel(),
            }
        )


@dataclass(frozen=True)
class Sets(_Scored):
    """Sets of heads (or KV groups), each patched at once in a run of its own.

    members: per set, its (layer, head); logit_diff: (set,).
    """

    site: str
    positions: str | int
    members: tuple[tuple[tuple[int, int], ...], ...]
    gap: Gap
    logit_diff: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "set": [_set_name(members, self.site) for members in self.members],
                "size": [len(members) for members in self.members],
                "logit_diff": self.logit_diff,
                "effect": self.effect,
                "score": self.score,
            }
        )


@dataclass(frozen=True)
class Pairs(_Scored):
    """Some heads alone and two at a time. logit_diff: (head, head), symmetric; on the diagonal the head alone."""

    site: str
    positions: str | int
    members: tuple[tuple[int, int], ...]
    gap: Gap
    logit_diff: np.ndarray

    @property
    def interaction(self) -> np.ndarray:
        """(head, head) effect(a, b) − effect(a) − effect(b), in logits; NaN on the diagonal."""
        return _interaction(self.effect)

    @property
    def score_interaction(self) -> np.ndarray:
        """The same of scores: S(a, b) − S(a) − S(b)."""
        return _interaction(self.score)

    def to_frame(self) -> pd.DataFrame:
        a, b = np.triu_indices(len(self.members))
        names = [_set_name((member,), self.site) for member in self.members]
        columns = {"logit_diff": self.logit_diff, "effect": self.effect, "score": self.score}
        columns |= {"interaction": self.interaction, "score_interaction": self.score_interaction}
        frame = {"direction": self.gap.direction, "site": self.site}
        frame |= {"a": [names[i] for i in a], "b": [names[i] for i in b]}
        return pd.DataFrame(frame | {name: values[a, b] for name, values in columns.items()})


@dataclass(frozen=True)
class Greedy(_Scored):
    """A circuit built up one head at a time, each time the one that moves the set furthest towards the donor.

    members: (layer, head) in the order of their choice; logit_diff: (step,) with the first 1, 2, … members patched;
    candidates: how many heads each step chose from at first; steps: how many were asked for.
    """

    site: str
    positions: str | int
    members: tuple[tuple[int, int], ...]
    gap: Gap
    logit_diff: np.ndarray
    candidates: int
    steps: int

    @property
    def complete(self) -> bool:
        return len(self.members) == self.steps

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "direction": self.gap.direction,
                "site": self.site,
                "step": np.arange(1, len(self.members) + 1),
                "added": [_set_name((member,), self.site) for member in self.members],
                "logit_diff": self.logit_diff,
                "effect": self.effect,
                "score": self.score,
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
    """Spearman's rank correlation of an estimate with the exact effects of the `cells` that have run; NaN below 3."""

    correlation: float
    cells: int


def agreement(estimate: Estimate, sweep: Sweep) -> Agreement:
    """How well the estimate ranks what has run so far; the score's normalisation cannot change it."""
    from scipy.stats import spearmanr

    ran = np.isfinite(sweep.logit_diff)
    exact, estimated = sweep.effect[ran], estimate.effect[ran]
    if ran.sum() < 3 or np.ptp(exact) == 0 or np.ptp(estimated) == 0:
        return Agreement(float("nan"), int(ran.sum()))
    return Agreement(float(spearmanr(estimated, exact).statistic), int(ran.sum()))


def _interaction(values: np.ndarray) -> np.ndarray:
    single = np.diag(values)
    interaction = values - single[:, None] - single[None, :]
    np.fill_diagonal(interaction, np.nan)
    return interaction


def _set_name(members: tuple[tuple[int, int], ...], site: str) -> str:
    name = {"group": group_name, "head": head_name}.get(unit(site), lambda layer, _: f"L{layer}")
    return " + ".join(name(layer, column) for layer, column in members)
