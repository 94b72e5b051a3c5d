"""The files of a model's folder: JSON, and safetensors known by their headers. No weight is read here."""

from __future__ import annotations

import hashlib
import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from core.experiment import InputError, shorten

_LONGEST_HEADER = 100_000_000  # bytes; the library's own bound
_BITS = {name: 8 for name in ("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2")}
_BITS |= {name: 16 for name in ("U16", "I16", "F16", "BF16")} | {name: 32 for name in ("U32", "I32", "F32")}
_BITS |= {name: 64 for name in ("U64", "I64", "F64")}


def weights_hash(folder: Path) -> str:
    """sha256 over the folder's weight files, in order of name."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or an `InputError` that names the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {shorten(str(error))}", "pair") from None
    if not isinstance(found, dict):
        raise InputError(f"{str(path)!r} holds no JSON object; fetch it again", "pair")
    return found


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every weight in a model's folder, by its name there."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        shapes |= shapes_in(path)
    return shapes


def weight_files(folder: Path) -> list[Path]:
    """A model's safetensors, all of them there."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = read_json(index).get("weight_map")
        if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
            raise InputError(f"{str(index)!r} names no weight files; fetch it again", "pair")
        names = sorted(set(files.values()))
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise InputError(f"{str(folder)!r} is incomplete: {missing[0]!r} is missing; fetch it again", "pair")
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    pickled = next((p.name for pattern in ("*.bin", "*.pt", "*.pth") for p in folder.glob(pattern)), None)
    hint = f" ({pickled!r} is a pickle, which can run code: save the model with safe_serialization)" if pickled else ""
    raise InputError(f"{str(folder)!r} holds no model.safetensors; only safetensors are loaded{hint}", "pair")


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes in one safetensors file, by name."""
    return {name: tuple(tensor["shape"]) for name, tensor in header(path).items()}


def header(path: Path) -> dict[str, dict[str, Any]]:
    """The tensors of one safetensors file by name, with dtype, shape and data_offsets, which must fit the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        text = file.read(length) if length <= min(size - 8, _LONGEST_HEADER) else b""
    try:
        tensors = {
            name: {key: tensor[key] for key in ("dtype", "shape", "data_offsets")}
            for name, tensor in json.loads(text).items()
            if name != "__metadata__"
        }
        for tensor in tensors.values():
            _check_size(tensor)
        end = 8 + length + max((t["data_offsets"][1] for t in tensors.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{str(path)!r} is no whole safetensors file ({size:,} bytes); fetch it again", "pair"
        ) from None
    if end != size:
        raise InputError(
            f"{str(path)!r} is cut short: {size:,} bytes of {end:,}; fetch it again"
            if size < end
            else f"{str(path)!r} has {size - end:,} bytes too many; fetch it again",
            "pair",
        )
    return tensors


def _check_size(tensor: dict[str, Any]) -> None:
    """Raises ValueError where a shape promises more, or less, than the bytes that are set aside for it."""
    shape, (begin, end) = tensor["shape"], tensor["data_offsets"]
    if not all(type(size) is int and size >= 0 for size in (*shape, begin, end)):
        raise ValueError(tensor)
    # Of formats that are not known here an element takes a bit at least.
    bits, held = _BITS.get(tensor["dtype"]), 8 * (end - begin)
    if prod(shape) * (bits or 1) > held or (bits and prod(shape) * bits < held):
        raise ValueError(tensor)
