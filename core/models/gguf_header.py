"""The header of a GGUF file: what it says of itself, and which weights it holds. No weight is read here.

A file that is cut short, of an architecture not known here, split, or holding what the reading of its weights would
lose is refused from its header, with an `InputError` on the field "pair".
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from core.experiment import InputError, shorten

# Those whose reading is checked against Hugging Face's own weights in the tests.
ARCHITECTURES = ("llama", "qwen2", "qwen3")
_MAGIC, _VERSIONS = b"GGUF", (2, 3)
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _LIST = 8, 9
# Tensors that stretch rotary positions; the loader would drop them, and every number would be off.
_ROTARY = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")


@dataclass(frozen=True)
class GgufHeader:
    """metadata: key → number, text, or for a list its length. tensors: name → shape. size: bytes of the whole file."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    size: int

    @property
    def elements(self) -> int:
        """Number of weights."""
        return sum(map(prod, self.tensors.values()))

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))


def read_header(path: Path) -> GgufHeader:
    """The checked header of a GGUF file whose weights can be read."""
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}; correct the path", "pair")
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise InputError(f"{str(path)!r} is no GGUF file; only GGUF files may end in .gguf", "pair")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                header, end = _parse(path, data)
            except (struct.error, IndexError, UnicodeDecodeError, MemoryError, OverflowError, RecursionError):
                raise InputError(
                    f"{str(path)!r} is cut short or damaged in its header; fetch it again", "pair"
                ) from None
    _check_supported(header)
    if end > size:
        raise InputError(f"{str(path)!r} is cut short: {size:,} bytes of {end:,}; fetch it again", "pair")
    return header


def _parse(path: Path, data: mmap.mmap) -> tuple[GgufHeader, int]:
    """The header, and where the last tensor ends."""
    version, n_tensors, n_entries = struct.unpack_from("<IQQ", data, 4)
    if version not in _VERSIONS:
        raise InputError(f"{str(path)!r} is GGUF version {version}; versions 2 and 3 can be read", "pair")
    metadata: dict[str, Any] = {}
    at = 24
    for _ in range(n_entries):
        key, at = _text(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        metadata[key], at = _value(data, at + 4, kind)
    tensors: dict[str, tuple[int, ...]] = {}
    ends = [0]
    for _ in range(n_tensors):
        name, at = _text(data, at)
        (n_axes,) = struct.unpack_from("<I", data, at)
        shape = struct.unpack_from(f"<{n_axes}Q", data, at + 4)
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * n_axes)
        at += 16 + 8 * n_axes
        tensors[name] = shape[::-1]
        ends.append(offset + _bytes(path, name, kind, prod(shape)))
    alignment = _count(path, metadata, "general.alignment", 32) or 32
    start = -(-at // alignment) * alignment
    return GgufHeader(path, metadata, tensors, len(data)), start + max(ends)


def _text(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise IndexError(end)
    return data[at + 8 : end].decode("utf-8"), end


def _value(data: mmap.mmap, at: int, kind: int) -> tuple[object, int]:
    """One value and where it ends; of a list only its length, for those of a vocabulary are long."""
    if kind in _SCALARS:
        return struct.unpack_from(_SCALARS[kind], data, at)[0], at + struct.calcsize(_SCALARS[kind])
    if kind == _TEXT:
        return _text(data, at)
    if kind != _LIST:
        raise IndexError(kind)
    inner, length = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner in _SCALARS:
        return length, at + length * struct.calcsize(_SCALARS[inner])
    for _ in range(length):
        if inner == _TEXT:
            (characters,) = struct.unpack_from("<Q", data, at)
            at += 8 + characters
        else:
            _, at = _value(data, at, inner)
    return length, at


def _bytes(path: Path, name: str, kind: int, elements: int) -> int:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        raise InputError(
            f"{str(path)!r} stores {shorten(name)!r} in a format of number {kind}, which cannot be read here; "
            "choose another quantization of this model",
            "pair",
        ) from None
    return elements // block * size


def _count(path: Path, metadata: dict[str, Any], key: str, default: int) -> int:
    found = metadata.get(key, default)
    if not isinstance(found, int):
        raise InputError(f"{str(path)!r} is damaged in its header: {key} is no number; fetch it again", "pair")
    return found


def _check_supported(header: GgufHeader) -> None:
    name, architecture = str(header.path), header.architecture
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"{name!r} is of the architecture {shorten(architecture)!r}; GGUF files of {', '.join(ARCHITECTURES)} can "
            "be read: take this model's safetensors instead",
            "pair",
        )
    parts = _count(header.path, header.metadata, "split.count", 1)
    if parts > 1 or re.search(r"-\d{5}-of-(?!00001)\d{5}\.gguf$", header.path.name):
        raise InputError(f"{name!r} is one part of a split model; join the parts (llama-gguf-split --merge)", "pair")
    scaling = header.metadata.get(f"{architecture}.rope.scaling.type", "none")
    stretched = next((tensor for tensor in _ROTARY if tensor in header.tensors), None)
    if stretched or scaling != "none":
        raise InputError(
            f"{name!r} stretches its rotary positions ({stretched or f'rope.scaling.type {scaling}'}), which is "
            "lost in reading; take this model's safetensors instead",
            "pair",
        )
    if header.metadata.get(f"{architecture}.expert_count", 0):
        raise InputError(f"{name!r} is a mixture of experts; only dense models can be compared", "pair")
