"""The circuit card: what the runs of a set of heads say about it. Frozen, with tidy tables; knows no torch.

F(X) is the score of patching X at once INSTRUCT → BASE, N(X) of the same BASE → INSTRUCT, each against its own gap
(`core.patching.gap`); F(nothing) = 0. All means every head (or KV group) of every layer, at the set's own site and
positions. With S the set:
- **sufficiency** F(S), **necessity** N(S); F(all but S) and F(all): what the other heads move without it, and all;
- **completeness** = 1 − F(all but S) / F(all), the share of what all heads move that is lost without S: of everything
  1, of nothing 0. F(all) is 1 where the models differ in nothing but what decides the heads' outputs;
- **minimality** of a member h: F(S) − F(S∖h);
- **random sets** of the same size and layers: F of each, and their range;
- **changed**: F of the donor's weights in the same heads; **carried** = F(S) − changed: `CHANGED` says which weights;
- **recovery**: F of the first k members, in three orders: by single score, greedy (each next the one that brings the
  set nearest to the donor), and random. **Area** = ∫ F dk / n, k from 0 to n, by trapezoids:
  (F₀/2 + F₁ + … + Fₙ/2) / n.
Of each the effect in logits, and the score where the gap is one to share out. The noise floor of a difference is that
of its runs, in quadrature. NaN marks what has not run yet, or does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.members import Member, Members, name_of
from core.patching.results import Sets

# The weights that decide what a site takes.
CHANGED = {"z": "w_head", "result": "w_head", "value_only": "w_ov", "pattern_only": "w_qk", "pattern": "w_qk"}
CHANGED |= {"q": "w_q", "k": "w_k", "v": "w_v"}
CURVES = ("single", "greedy", "random")


@dataclass(frozen=True)
class Amount:
    """One number of a card. effect, noise_floor: in logits; score: a share of the gap, NaN where there is none."""

    effect: float
    score: float
    noise_floor: float

    @property
    def within_noise(self) -> bool:
        return abs(self.effect) <= self.noise_floor

    def minus(self, other: Amount) -> Amount:
        floor = float(np.hypot(self.noise_floor, other.noise_floor))
        return Amount(self.effect - other.effect, self.score - other.score, floor)


@dataclass(frozen=True)
class Curves:
    """Recovery with the first 0, 1, … n members patched, in one unit. names: of the members in each order, from the
    first; values: of each of CURVES, the random one a mean over orders; low, high: the range of the random orders."""

    names: dict[str, list[str]]
    values: dict[str, np.ndarray]
    low: np.ndarray
    high: np.ndarray

    @property
    def areas(self) -> dict[str, float]:
        return {name: area(values) for name, values in self.values.items()}


@dataclass(frozen=True)
class Card:
    """The runs of a card.

    members: of the set, in order of layers; layers, width: of the model, and of a layer at this site.
    forth: every INSTRUCT → BASE run of the site, each set once: the set and its subsets, all, all but the set, the
    random sets. back: the set, BASE → INSTRUCT. changed: the set's weights, INSTRUCT → BASE, None where it is weights
    that are patched, or single positions, at which no weight acts alone.
    random: the drawn sets; crowded: layers without enough others for them. orders: the random orders; empty where all
    orders are looked at. greedy: the order so far.
    """

    site: str
    positions: str | int
    members: Members
    layers: int
    width: int
    forth: Sets
    back: Sets
    changed: Sets | None
    random: tuple[Members, ...]
    crowded: tuple[int, ...]
    orders: tuple[Members, ...]
    greedy: Members
    seed: int

    @property
    def gap(self) -> Gap:
        return self.forth.gap

    @property
    def names(self) -> list[str]:
        return [name_of(member, self.site) for member in self.members]

    @property
    def complete(self) -> bool:
        return self.done == self.total and len(self.greedy) == len(self.members)

    @property
    def done(self) -> int:
        """How many of the runs that it names have run."""
        return sum(part.done for part in self._parts)

    @property
    def total(self) -> int:
        return sum(part.total for part in self._parts)

    @property
    def _parts(self) -> list[Sets]:
        return [part for part in (self.forth, self.back, self.changed) if part is not None]

    @property
    def everything(self) -> Members:
        return tuple((layer, column) for layer in range(self.layers) for column in range(self.width))

    @cached_property
    def _ran(self) -> dict[Members, Amount]:
        none = Amount(0.0, float(self.gap.score(np.array(self.gap.recipient))), 0.0)
        return {(): none, **dict(zip(self.forth.members, _amounts(self.forth)))}

    def of(self, members: Iterable[Member]) -> Amount:
        """F of any set that is among the card's runs, the empty one included."""
        return self._ran.get(tuple(sorted(members)), ABSENT)

    @property
    def sufficiency(self) -> Amount:
        return self.of(self.members)

    @property
    def necessity(self) -> Amount:
        return _amounts(self.back)[0]

    @property
    def all_but(self) -> Amount:
        return self.of(set(self.everything) - set(self.members))

    @property
    def all(self) -> Amount:
        return self.of(self.everything)

    @property
    def completeness(self) -> float:
        """NaN where all heads together move no more than rounding does, or there is no gap to share out."""
        every = self.all
        if self.gap.reason or not abs(every.effect) > every.noise_floor:
            return float("nan")
        return 1 - self.all_but.effect / every.effect

    @property
    def minimality(self) -> dict[Member, Amount]:
        whole = set(self.members)
        return {member: self.sufficiency.minus(self.of(whole - {member})) for member in self.members}

    @property
    def by_chance(self) -> list[Amount]:
        """Of each random set."""
        return [self.of(members) for members in self.random]

    @property
    def weights(self) -> Amount | None:
        """What the set's own changed weights move."""
        return None if self.changed is None else _amounts(self.changed)[0]

    @property
    def carried(self) -> Amount | None:
        return None if self.weights is None else self.sufficiency.minus(self.weights)

    @property
    def by_single(self) -> Members:
        """Furthest towards the donor first."""
        towards = {member: self.of([member]).effect * np.sign(self.gap.size) for member in self.members}
        return tuple(sorted(self.members, key=lambda member: -np.nan_to_num(towards[member], nan=-np.inf)))

    def curves(self, in_logits: bool = False) -> Curves:
        """Scores, or effects in logits where those are asked for or scores do not exist."""
        name = "effect" if in_logits or self.gap.reason else "score"

        def along(order: Members) -> np.ndarray:
            reached = [self.of(order[:k]) for k in range(len(order) + 1)]
            values = np.array([getattr(amount, name) for amount in reached])
            return np.append(values, np.full(len(self.members) - len(order), np.nan))

        every = np.array([along(order) for order in self.orders or permutations(self.members)])
        values = {"single": along(self.by_single), "greedy": along(self.greedy), "random": every.mean(0)}
        orders = {"single": self.by_single, "greedy": self.greedy}
        names = {curve: [name_of(member, self.site) for member in order] for curve, order in orders.items()}
        return Curves(names | {"random": []}, values, every.min(0), every.max(0))

    def to_frame(self) -> pd.DataFrame:
        """One row a number: number, of, effect, score, noise_floor; completeness is a score without an effect."""
        rows: list[tuple[str, str, Amount]] = [
            ("sufficiency", "the set", self.sufficiency),
            ("necessity", "the set", self.necessity),
            ("all_but", "all but the set", self.all_but),
            ("all", "all", self.all),
            ("completeness", "the set", Amount(float("nan"), self.completeness, float("nan"))),
        ]
        rows += [("changed", "the set", self.weights)] if self.weights is not None else []
        rows += [("carried", "the set", self.carried)] if self.carried is not None else []
        rows += [("minimality", name_of(member, self.site), amount) for member, amount in self.minimality.items()]
        rows += [("random_set", self._named(members), amount) for members, amount in zip(self.random, self.by_chance)]
        areas = [self.curves(in_logits).areas for in_logits in (True, False)]
        for curve in CURVES:
            score = areas[1][curve] if not self.gap.reason else float("nan")
            rows.append(("area", curve, Amount(areas[0][curve], score, float("nan"))))
        table = [(number, of, amount.effect, amount.score, amount.noise_floor) for number, of, amount in rows]
        return pd.DataFrame(table, columns=["number", "of", "effect", "score", "noise_floor"])

    def curves_frame(self) -> pd.DataFrame:
        """order, heads (how many are patched), added (the last of them), effect, score, and of the random orders their
        range as effects, low and high."""
        effects, scores = self.curves(True), self.curves()
        frames = []
        for curve in CURVES:
            count = len(self.members) + 1
            absent = np.full(count, np.nan)
            frame = pd.DataFrame({"order": curve, "heads": np.arange(count)})
            frame["added"] = [None, *effects.names[curve], *[None] * (count - 1 - len(effects.names[curve]))]
            frame["effect"] = effects.values[curve]
            frame["score"] = absent if self.gap.reason else scores.values[curve]
            frame["low"], frame["high"] = (effects.low, effects.high) if curve == "random" else (absent, absent)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def runs_frame(self) -> pd.DataFrame:
        """Every run, as the sets of `core.patching.results` are tabled; all heads are not named one by one."""
        frames = [part.to_frame().assign(set=list(map(self._named, part.members))) for part in self._parts]
        return pd.concat(frames, ignore_index=True)

    def _named(self, members: Members) -> str:
        if members == self.everything:
            return "all"
        if len(members) > len(self.members) and not set(members) & set(self.members):
            return "all but the set"
        return " + ".join(name_of(member, self.site) for member in members)


ABSENT = Amount(float("nan"), float("nan"), float("nan"))


def area(values: np.ndarray) -> float:
    """Under a recovery curve of 0, 1, … n members, as a share of their number: 1 − 1/(2n) where the first does all."""
    return float(((values[1:] + values[:-1]) / 2).mean())


def _amounts(sets: Sets) -> list[Amount]:
    columns = (sets.effect, sets.score, sets.noise_floor)
    return [Amount(*map(float, numbers)) for numbers in zip(*columns)]
