"""The recipient's own activation, moved as far as the donor's lies, in a random direction: what a null patch takes.

At every position, and of every head, x + ‖donor − x‖ · u with u uniform on the unit sphere: the size of the patch
without its content. Directions depend on seed, draw, layer and site, and on nothing else.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from core.recording import Recording


@dataclass(frozen=True, eq=False)
class Matched(Recording):
    """A recording whose activations are read with a random change of the donor's size; draw: names the directions."""

    donor: Recording = field(kw_only=True)
    draw: str = field(kw_only=True)

    def layer(self, layer: int, name: str) -> Float[Tensor, "pos ..."]:
        x = super().layer(layer, name)
        own = x if x.dtype == torch.float64 else x.float()
        size = (self.donor.layer(layer, name).to(own) - own).norm(dim=-1, keepdim=True)
        generator = torch.Generator().manual_seed(zlib.crc32(f"{self.draw} {layer} {name}".encode()))
        # Drawn on the CPU: the same directions on every device.
        direction = torch.randn(x.shape, generator=generator).to(own)
        moved: Tensor = own + size * direction / direction.norm(dim=-1, keepdim=True)
        return moved.to(x)


def matched(recipient: Recording, donor: Recording, draw: str) -> Matched:
    return Matched(recipient.bridge, recipient.ids, recipient.activations, donor=donor, draw=draw)
