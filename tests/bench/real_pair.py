"""The real pair for the benches that use it, and what is said where its files are not on this machine."""

from __future__ import annotations

from core.models.pairs import REAL, PairSpec, lacking, registry


def installed() -> PairSpec | None:
    """The real pair, or None after one line that says why it is not measured."""
    spec = registry()[REAL]
    if why := lacking(spec):
        print(f"{REAL}: not measured ({why})")
        return None
    return spec
