"""The recipient's own activations, every number within one unit in the last place: what the noise floor is made of.

x × (1 + ulp·s) with s drawn from {−1, 0, +1} and ulp the spacing of the model's dtype at 1; 1 ± ulp are numbers of that
dtype, so that the product is rounded once. Signs depend on seed, draw, layer and site, and on nothing else.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from core.recording import Recording

_SMALL = 2**16  # numbers: of a large model's activations, which take time to run, the signs are drawn each time


@dataclass(frozen=True, eq=False)
class Jittered(Recording):
    """A recording whose activations are read with rounding of their own; draw: names the signs."""

    draw: str = ""

    def layer(self, layer: int, name: str) -> Float[Tensor, "pos ..."]:
        x = super().layer(layer, name)
        signs = _signs(f"{self.draw} {layer} {name}", x.shape).to(x.device, x.dtype)
        return x * (1 + torch.finfo(self.bridge.W_U.dtype).eps * signs)


def _signs(of: str, shape: torch.Size) -> Tensor:
    """Drawn on the CPU: the same signs on every device, and for every prompt of a length."""
    return (_kept if shape.numel() <= _SMALL else _drawn)(of, shape)


def _drawn(of: str, shape: torch.Size) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(of.encode()))
    return torch.randint(-1, 2, shape, generator=generator, dtype=torch.int8)


_kept = lru_cache(maxsize=256)(_drawn)


def jittered(recording: Recording, draw: str) -> Jittered:
    return Jittered(recording.bridge, recording.ids, recording.activations, draw=draw)
