"""The keys and values of one run's tokens, so that a later run on the same tokens may begin further on.

transformers hands every layer's keys (rotated) and values to a cache. One keeps them as they are, the other puts those
of the tokens before a position in front of what is computed from it on. Where they are one run's, the same in all rows,
nothing of them is copied, neither per row nor per query head of a group: attention's two products take all rows'
queries of a group at once (`Shared`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

KeysValues = tuple[Float[Tensor, "batch group pos d_head"], Float[Tensor, "batch group pos d_head"]]


class Keeping(DynamicCache):  # type: ignore[misc]
    """Keeps what each layer computes, in `kept`, and adds nothing to it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, KeysValues] = {}

    def update(self, keys: Tensor, values: Tensor, layer: int, *args: Any, **kwargs: Any) -> KeysValues:
        # Rotation may lift a bf16 model's keys to float32 (OLMo-2); a cache lifts the values with them.
        self.kept[layer] = keys, values.to(keys)
        return self.kept[layer]


class Before(DynamicCache):  # type: ignore[misc]
    """Puts the keys and values of the first `positions` tokens in front; of every length, since it knows no window.

    times: how often each row of the known stands in the batch, one after another.
    """

    def __init__(self, known: tuple[KeysValues, ...], positions: int, times: int = 1) -> None:
        super().__init__([(keys[:, :, :positions], values[:, :, :positions]) for keys, values in known])
        self._times = times

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor | Shared, Tensor | Shared]:
        known = self.layers[layer]
        return _behind(known.keys, keys, self._times), _behind(known.values, values, self._times)


def _behind(known: Tensor, new: Tensor, times: int) -> Tensor | Shared:
    """Of one run shared by all rows, or of every row its own."""
    if len(known) == 1:
        return Shared(known.to(new), new)
    every = known.to(new).repeat_interleave(times, 0) if times > 1 else known.to(new)
    return torch.cat([every, new], dim=2)


@dataclass(frozen=True, eq=False)
class Shared:
    """Keys or values of rows of which the first are the same: for attention a tensor, (row, head, key, d_head).

    known: (1, group, before, d_head), of every row; new: (row, group, pos, d_head). heads: of each group. turned: its
    last two axes. `torch.matmul` takes the parts; whatever else is asked of it gets the whole tensor.
    """

    known: Tensor
    new: Tensor
    heads: int = 1
    turned: bool = False

    @cached_property
    def whole(self) -> Tensor:
        both = torch.cat([self.known.expand(len(self.new), -1, -1, -1), self.new], dim=2)
        both = both.repeat_interleave(self.heads, dim=1) if self.heads > 1 else both
        return both.transpose(-2, -1) if self.turned else both

    @property
    def shape(self) -> torch.Size:
        rows, groups, late, width = self.new.shape
        ends = (self.known.shape[2] + late, width)
        return torch.Size((rows, groups * self.heads, *(ends[::-1] if self.turned else ends)))

    def transpose(self, first: int, second: int) -> Shared | Tensor:
        if {first % 4, second % 4} == {2, 3}:
            return replace(self, turned=not self.turned)
        return self.whole.transpose(first, second)

    def repeat_interleave(self, repeats: int, dim: int) -> Shared | Tensor:
        if dim == 1 and self.heads == 1 and not self.turned:
            return replace(self, heads=repeats)
        return self.whole.repeat_interleave(repeats, dim)

    def __getitem__(self, index: Any) -> _Repeated | Tensor:
        if index == _PER_HEAD and self.heads == 1 and not self.turned:
            return _Repeated(self)
        return self.whole[index]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Sequence[type], given: Sequence[Any], named: Mapping[str, Any] = {}
    ) -> Any:
        if function is torch.matmul and len(given) == 2 and isinstance(given[0], Tensor):
            x, shared = given
            if x.ndim == 4 and x.shape[:2] == shared.shape[:2] and x.dtype == shared.new.dtype:
                return _scores(x, shared) if shared.turned else _values(x, shared)
        named = {name: _whole(each) for name, each in named.items()}
        return function(*map(_whole, given), **named)


@dataclass(frozen=True, eq=False)
class _Repeated:
    """Between the three steps in which transformers repeats groups for their query heads."""

    shared: Shared

    def expand(self, rows: int, groups: int, heads: int, *sizes: int) -> _Repeated:
        return _Repeated(replace(self.shared, heads=heads))

    def reshape(self, *sizes: int) -> Shared:
        return self.shared


_PER_HEAD = (slice(None), slice(None), None, slice(None), slice(None))


def _scores(queries: Tensor, keys: Shared) -> Float[Tensor, "row head pos key"]:
    by_group = queries.reshape(*keys.new.shape[:2], -1, queries.shape[-1])
    early = _of_all_rows(by_group, keys.known[0].transpose(-2, -1))
    return torch.cat([early, by_group @ keys.new.transpose(-2, -1)], -1).view(*queries.shape[:3], -1)


def _values(pattern: Tensor, values: Shared) -> Float[Tensor, "row head pos d_head"]:
    before = values.known.shape[2]
    by_group = pattern.reshape(*values.new.shape[:2], -1, pattern.shape[-1])
    new = by_group[..., before:]
    # Of one key the product of matrices is one of numbers, and as such takes a tenth of the time.
    mixed = new * values.new if new.shape[-1] == 1 else new @ values.new
    return mixed.add_(_of_all_rows(by_group[..., :before], values.known[0])).view(*pattern.shape[:3], -1)


def _of_all_rows(x: Float[Tensor, "row group some from"], matrix: Float[Tensor, "group from to"]) -> Tensor:
    """x · matrix, one product for a group."""
    rows, groups, some, _ = x.shape
    product = x.transpose(0, 1).reshape(groups, rows * some, -1) @ matrix
    return product.view(groups, rows, some, -1).transpose(0, 1)


def _whole(x: Any) -> Any:
    return x.whole if isinstance(x, Shared) else x
