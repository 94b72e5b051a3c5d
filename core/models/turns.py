"""Two models on a device that holds one of them: they take turns.

Both live in the CPU's memory, pinned where the device is a GPU. Whoever runs a model or reads its weights takes its
turn first: its weights are copied to the device and the other one's are given up there, which loses nothing, since
nothing here writes a weight. What both share stays on the device, and so do buffers, which are small.

A weight read alone may be read where it is, if it is then brought to what it meets.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge


class Turns:
    """Which of two bridges, both loaded to the CPU, has its weights on `device`; both are told of it."""

    def __init__(self, bridges: tuple[TransformerBridge, TransformerBridge], device: str):
        self._device = device
        self._has_turn: TransformerBridge | None = None
        weights = [_weights(bridge) for bridge in bridges]
        shared = weights[0].keys() & weights[1].keys()
        self._homes: dict[TransformerBridge, list[tuple[nn.Parameter, Tensor]]] = {}
        for bridge, own in zip(bridges, weights):
            for tensor in (*(own[key] for key in shared), *_buffers(bridge)):
                tensor.data = _there(tensor.data, device)
            self._homes[bridge] = []
            for weight in (weight for key, weight in own.items() if key not in shared):
                # One at a time, so that no whole model is held twice.
                weight.data = _pinned(weight.data, device)
                self._homes[bridge].append((weight, weight.data))
            bridge.cfg.device = device
            # Not by setattr, which a bridge passes on to the model that it wraps.
            vars(bridge)["turns"] = self
            self._go_home(bridge)

    def take(self, bridge: TransformerBridge) -> None:
        """Bring this bridge's weights to the device, in place of the other one's."""
        if self._has_turn is bridge:
            return
        if self._has_turn is not None:
            self._go_home(self._has_turn)
        self._has_turn = None
        try:
            for weight, home in self._homes[bridge]:
                weight.data = _there(home, self._device)
        except BaseException:
            self._go_home(bridge)
            raise
        self._has_turn = bridge

    def _go_home(self, bridge: TransformerBridge) -> None:
        for weight, home in self._homes[bridge]:
            weight.data = _at_home(home)


def take_turn(bridge: TransformerBridge) -> None:
    """Call before a bridge runs or its weights are read; does nothing for one that has the device to itself."""
    turns = vars(bridge).get("turns")
    if turns is not None:
        turns.take(bridge)


def _weights(bridge: TransformerBridge) -> dict[int, nn.Parameter]:
    """A bridge keeps some weights outside the model that it wraps: those of a joint projection, taken apart."""
    return {id(weight): weight for weight in chain(bridge.parameters(), bridge.original_model.parameters())}


def _buffers(bridge: TransformerBridge) -> Iterable[Tensor]:
    return chain(bridge.buffers(), bridge.original_model.buffers())


def _pinned(home: Tensor, device: str) -> Tensor:
    return home.pin_memory() if torch.device(device).type == "cuda" else home


def _there(home: Tensor, device: str) -> Tensor:
    return home.to(device, non_blocking=True)


def _at_home(home: Tensor) -> Tensor:
    return home
