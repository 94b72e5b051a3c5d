"""Answers as bytes: a frozen dataclass, a tuple of them or a text, and back, equal field by field.

One encoded answer is a safetensors file: its arrays are the tensors, everything else is JSON in the file's metadata,
where an array stands as {"$array": its name}. Objects of that JSON are dataclasses; dictionaries are lists of
[key, value], so that keys keep their type. Nothing is ever unpickled: what is read decides about values, never about
code. A byte in front says whether the file is compressed, for which the bytes of an array's numbers are sorted by
their place in the number. Numbers are exact, NaN and infinities included.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args, get_origin

import numpy as np
from cattrs import Converter
from cattrs.strategies import configure_union_passthrough
from safetensors.numpy import load, save

# Raised when what is written changes its meaning: another formula for the same field, another order of an axis.
# Fields that go, change their type or come without a default need no new number: what lacks or exceeds them is
# undecodable anyway.
FORMAT = 3
PLAIN, COMPRESSED = b"s", b"p"
WORTH = 0.9  # of its size, at most, is what a compressed answer may take
LARGEST = 2**30  # bytes of one answer: a few compressed bytes of a foreign bundle must not fill the memory
_ARRAY, _JSON, _LENGTH = "$array", "answer", 8

Hook = Callable[[Any, Any], Any]  # of cattrs: a value and the type that it shall be


class Undecodable(ValueError):
    """Bytes that are no answer of the kind that was asked for."""


def encode(value: Any, kind: Any) -> bytes:
    """kind: the declared type. Raises TypeError for what has no place in an answer."""
    arrays: dict[str, np.ndarray] = {}

    def outside_json(item: Any) -> Any:
        if isinstance(item, np.generic):
            return item.item()
        if not isinstance(item, np.ndarray) or item.dtype.hasobject:
            raise TypeError(f"{type(item).__name__} has no place in an answer")
        # safetensors reads the buffer in C order, whatever the array's own is.
        arrays[name := str(len(arrays))] = np.asarray(item, order="C")
        return {_ARRAY: name}

    text = json.dumps(_converter().unstructure(value, kind), default=outside_json, separators=(",", ":"))
    plain = save(arrays, {_JSON: text})
    packed = zlib.compress(_by_place(plain))
    return COMPRESSED + packed if len(packed) <= WORTH * len(plain) else PLAIN + plain


def decode(data: bytes, kind: Any) -> Any:
    """What `encode` was given, or `Undecodable`."""
    try:
        plain = _unpacked(data)
        arrays = load(plain)
        whole = json.loads(
            _header(plain)[1]["__metadata__"][_JSON],
            object_hook=lambda item: arrays[item[_ARRAY]] if _ARRAY in item else item,
        )
        return _converter().structure(whole, kind)
    except Exception as error:
        # Foreign bytes fail in many ways, inside three libraries; to whoever asks it is one.
        raise Undecodable(f"not a kept {getattr(kind, '__name__', kind)}: {error!r}") from error


def _unpacked(data: bytes) -> bytes:
    if data[:1] == PLAIN:
        return data[1:]
    if data[:1] != COMPRESSED:
        raise ValueError("unknown first byte")
    reading = zlib.decompressobj()
    plain = reading.decompress(data[1:], LARGEST)
    if not reading.eof:
        raise ValueError("cut short, or larger than any answer")
    return _by_place(plain, back=True)


def _by_place(plain: bytes, back: bool = False) -> bytes:
    """The same file with the first bytes of an array's numbers in a row, then their second ones: those are alike."""
    start, header = _header(plain)
    sorted_ = np.frombuffer(plain, np.uint8).copy()
    for name, array in header.items():
        if name != "__metadata__" and (count := math.prod(array["shape"])):
            first, end = array["data_offsets"]
            part = sorted_[start + first : start + end]
            part[:] = part.reshape((-1, count) if back else (count, -1)).T.ravel()
    return sorted_.tobytes()


def _header(plain: bytes) -> tuple[int, dict[str, Any]]:
    """Where the arrays begin, and what is said of them; safetensors' own reader gives metadata of files only."""
    start = _LENGTH + int.from_bytes(plain[:_LENGTH], "little")
    return start, json.loads(plain[_LENGTH:start])


@cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=False)
    for kind, accepted in {bool: (bool,), int: (int,), float: (float, int), str: (str,)}.items():
        converter.register_structure_hook(kind, _strictly(accepted))
    whole = _strictly((np.ndarray,))
    converter.register_unstructure_hook(np.ndarray, lambda array: whole(array, np.ndarray))
    converter.register_structure_hook(np.ndarray, whole)
    converter.register_unstructure_hook_factory(_is_mapping, lambda kind: _pairs_of(converter, kind))
    converter.register_structure_hook_factory(_is_mapping, lambda kind: _dict_of(converter, kind))
    configure_union_passthrough(str | int | float | bool | None, converter)
    return converter


def _strictly(accepted: tuple[type, ...]) -> Hook:
    """A hook that takes values of these types as they are: cattrs would make an int of "7", a bool of anything."""

    def hook(value: Any, kind: Any) -> Any:
        # bool is an int to isinstance.
        if type(value) not in accepted:
            raise TypeError(f"{value!r} is no {kind}")
        return float(value) if kind is float else value

    return hook


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _pairs_of(converter: Converter, kind: Any) -> Callable[[Any], Any]:
    key, value = get_args(kind)
    return lambda items: [(converter.unstructure(k, key), converter.unstructure(v, value)) for k, v in items.items()]


def _dict_of(converter: Converter, kind: Any) -> Hook:
    key, value = get_args(kind)
    return lambda pairs, _: {converter.structure(k, key): converter.structure(v, value) for k, v in pairs}
