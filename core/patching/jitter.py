"""The recipient's own activations, every number within one unit in the last place: what the noise floor is made of.

x × (1 + ulp·s) with s drawn from {−1, 0, +1} and ulp the spacing of the model's dtype at 1; 1 ± ulp are numbers of that
dtype, so that the product is rounded once. Signs depend on seed, draw, layer and site, and on nothing else.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.recording import Recording


@dataclass(frozen=True, eq=False)
class Jittered(Recording):
    """A recording whose activations are read with rounding of their own; draw: names the signs."""

    draw: str = ""

    def layer(self, layer: int, name: str) -> Float[Tensor, "pos ..."]:
        x = super().layer(layer, name)
        generator = torch.Generator().manual_seed(zlib.crc32(f"{self.draw} {layer} {name}".encode()))
        # Drawn on the CPU: the same signs on every device.
        signs = torch.randint(-1, 2, x.shape, generator=generator, dtype=torch.int8).to(x.device, x.dtype)
        return x * (1 + torch.finfo(self.bridge.W_U.dtype).eps * signs)


def jittered(recording: Recording, draw: str) -> Jittered:
    return Jittered(recording.bridge, recording.ids, recording.activations, draw=draw)
