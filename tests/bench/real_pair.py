"""The real pair for the benches that use it: its id, and what is said where its files are not on this machine."""

from __future__ import annotations

from core.experiment import InputError
from core.models.loading import find_checkpoints
from core.models.pairs import PairSpec, registry

REAL = "smollm2-rephrase"


def installed() -> PairSpec | None:
    """The real pair, or None after one line that says why it is not measured."""
    try:
        spec = registry().get(REAL)
        if spec is None:
            raise InputError("there is no such pair", "pair")
        find_checkpoints(spec)
    except InputError as error:
        print(f"{REAL}: not measured ({error})")
        return None
    return spec
