"""How long a plan of patched rows has still to run, from how fast rows have run on this pair in this process."""

from __future__ import annotations

import math
import time

import numpy as np

from core.patching.cost import Cost

MINUTE = 60.0  # seconds from which on it is said
_SMALL = 0.25  # of the largest plan so far: a smaller one has more of what does not grow with its rows


class Pace:
    """Of a resident pair. seconds: that a token in a layer took in the last plan of some size; NaN before any has run.

    cost: of the largest plan so far.
    """

    def __init__(self, seconds: float = math.nan):
        self.seconds, self.cost = seconds, 0.0

    def learn(self, seconds: float, cost: float) -> None:
        if cost >= _SMALL * self.cost:
            self.seconds, self.cost = seconds / cost, max(cost, self.cost)


class Ahead:
    """What one plan has still to run. Time that it gives away between two chunks does not count.

    done: how many of its parts had run before, when it was broken off. Cheap parts run first: so chunks are ordered.
    """

    def __init__(self, pace: Pace, cost: Cost, done: int = 0):
        self._pace, self._cost, self._before = pace, cost, done
        self._sums = np.concatenate([[0.0], np.cumsum(np.sort(cost.parts))])
        self._ran, self._own = 0.0, math.nan
        self.goes_on()

    def goes_on(self) -> None:
        """A chunk begins."""
        self._since = time.perf_counter()

    def ended(self, done: int) -> None:
        """A chunk has: so many parts have run by now, with those that had run before."""
        self._ran += time.perf_counter() - self._since
        cost = self._upto(done) - self._upto(self._before)
        if cost > 0:
            self._own = self._ran / cost
            if self._cost.exact:
                self._pace.learn(self._ran, cost)

    def said(self, done: int) -> str:
        """To follow what is being done: " (about 2 min left)", where that is a minute at least and known."""
        pace = self._pace.seconds if math.isnan(self._own) else self._own
        seconds = (self._sums[-1] - self._upto(done)) * pace
        most = "about" if self._cost.exact else "at most"
        return f" ({most} {seconds / MINUTE:.0f} min left)" if seconds >= MINUTE else ""

    def _upto(self, done: int) -> float:
        return float(self._sums[min(done, len(self._sums) - 1)])
