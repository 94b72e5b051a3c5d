"""Which number format a pair runs in, and whether it is below the one that its weights are stored in.

A dtype below the stored one rounds the weights themselves, and can so erase a small fine-tune. Reads the headers of
safetensors files, no weight; knows no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from core.models.weight_files import header

HALVES = ("bfloat16", "float16")
_STORED = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_DIGITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}  # binary, after the first


def fitting_dtype(own: str, device: str, need: int, room: int) -> str:
    """What a pair runs in where nobody asks for a dtype: its own; on a CPU float32 in place of a half, where it fits.

    A CPU computes in half precision many times more slowly. need: bytes that the pair takes in float32; room: bytes
    that it may take.
    """
    slow = device.partition(":")[0] == "cpu" and own in HALVES
    return "float32" if slow and need <= room else own


def is_below(dtype: str, stored: str) -> bool:
    """Whether weights stored in one dtype are rounded when they are loaded in the other; False for "" (unknown)."""
    return bool(stored) and _DIGITS[dtype] < _DIGITS[stored]


def reference_dtype(stored: str) -> str:
    """What holds weights stored in `stored` without rounding: that dtype, for a half float32."""
    return "float32" if stored in HALVES else stored


def stored_dtype(folders: Iterable[Path]) -> str:
    """The dtype that most bytes of the folders' safetensors are stored in, "" where that is none of ours."""
    held: Counter[str] = Counter()
    for folder in folders:
        for path in sorted(folder.glob("*.safetensors")):
            for tensor in header(path).values():
                held[tensor["dtype"]] += tensor["data_offsets"][1] - tensor["data_offsets"][0]
    return _STORED.get(held.most_common(1)[0][0], "") if held else ""
