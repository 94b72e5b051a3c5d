"""The noise floor: how far rounding alone moves a patched run, measured per third of the depth.

The recipient's own activation is patched into it, each number one unit in the last place off: × (1 + ulp·{−1, 0, +1})
of the model's dtype, signs seeded (`core.patching.jitter`). The floor is the 95th percentile of |effect| over such
rows, and beside it what a no-op moves: nothing where it repeats the same roundings, but a row that runs from a late
position on alone goes through products of other shapes, which may round otherwise. An effect within the floor says
nothing. Early rows pass more layers and move further, so each third of the depth has a floor of its own. Nothing here
knows torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from core.patching.plan import OWN, Row, as_activations, jitter
from core.wording import brief

ROWS = 8  # at least, in each third
PERCENTILE = 95
THIRDS = ("first", "middle", "last")
_SEED = 0
Layers = TypeVar("Layers", int, np.ndarray)
_UNKNOWN = (float("nan"),) * len(THIRDS)


@dataclass(frozen=True)
class NoiseFloor:
    """95th percentile of |effect| of jittered rows plus the no-op's, in logits; NaN for a third in which none ran.

    layers: of the model; thirds: in the order of THIRDS.
    """

    layers: int = 1
    thirds: tuple[float, ...] = _UNKNOWN

    @property
    def measured(self) -> bool:
        return bool(np.isfinite(self.thirds).any())

    def at(self, layer: int | np.ndarray) -> np.ndarray:
        """The floor of patches whose lowest layer is `layer`, a number or an array of them."""
        at = np.asarray(layer, int)
        return np.asarray(self.thirds)[third_of(at, self.layers)] if self.measured else np.full(at.shape, np.nan)

    def spans(self) -> list[tuple[str, float]]:
        """(for example "layers 0–9", floor) of each third that has a layer and a floor."""
        named = []
        for third, value in enumerate(self.thirds):
            mine = [layer for layer in range(self.layers) if third_of(layer, self.layers) == third]
            if mine and np.isfinite(value):
                named.append((f"layers {mine[0]}–{mine[-1]}" if len(mine) > 1 else f"layer {mine[0]}", value))
        return named

    def text(self) -> str:
        """For a figure's line: "0.13 / 0.09 / 0.02 logits in the first / middle / last third of the depth"."""
        known = [(name, value) for name, value in zip(THIRDS, self.thirds) if np.isfinite(value)]
        if not known:
            return "not measured yet"
        values, names = (" / ".join(column) for column in zip(*((brief(value), name) for name, value in known)))
        return f"{values} logits in the {names} third of the depth"

    @property
    def highest(self) -> float:
        """The floor of the noisiest third, in logits; NaN before any ran."""
        return max((value for value in self.thirds if np.isfinite(value)), default=float("nan"))

    def joined(self, other: NoiseFloor) -> NoiseFloor:
        """Of two measurements, the larger in each third."""
        return replace(self, thirds=tuple(float(x) for x in np.fmax(self.thirds, other.thirds)))


def third_of(layer: Layers, layers: int) -> Layers:
    """0, 1 or 2; also of an array of layers."""
    return len(THIRDS) * layer // layers


def jittered_rows(rows: Iterable[Row], layers: int) -> list[Row]:
    """ROWS rows of the plan for each third in which it has any, spread over its layers, jittered in place of patched.

    Its lowest row follows as a no-op, which passes the most layers. A row belongs to its lowest layer. Where a third
    has fewer rows they come again, with other signs.
    """
    draw = np.random.default_rng(_SEED)
    by_third: dict[int, list[Row]] = {}
    for row in rows:
        by_third.setdefault(third_of(_lowest(row), layers), []).append(row)
    made = []
    for third in sorted(by_third):
        spread = _spread([by_third[third][i] for i in draw.permutation(len(by_third[third]))])
        for n in range(ROWS):
            made.append(as_activations(spread[n % len(spread)], jitter(n)))
        made.append(as_activations(min(by_third[third], key=_lowest), OWN))
    return made


def noise_floor(rows: list[Row], effect: np.ndarray, layers: int) -> NoiseFloor:
    """What the effects of `jittered_rows` say so far; NaN is a row that has not run."""
    third = third_of(np.array([_lowest(row) for row in rows]), layers)
    still = np.array([all(patch.source == OWN for patch in row) for row in rows])
    size = np.abs(effect)

    def of(n: int) -> float:
        ran = (third == n) & np.isfinite(size)
        if not (ran & ~still).any():
            return float("nan")
        return float(np.percentile(size[ran & ~still], PERCENTILE) + size[ran & still].max(initial=0))

    return NoiseFloor(layers, tuple(of(n) for n in range(len(THIRDS))))


def _spread(rows: list[Row]) -> list[Row]:
    """One row of every layer before a second one of any."""
    seen: dict[int, int] = {}
    rank = []
    for row in rows:
        rank.append(seen.setdefault(_lowest(row), 0))
        seen[_lowest(row)] += 1
    return [rows[i] for i in np.argsort(rank, kind="stable")]


def _lowest(row: Row) -> int:
    return min(patch.layer for patch in row)
