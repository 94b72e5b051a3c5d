"""A pass that runs out of memory: fewer rows at once, and in the end a message that says what would fit.

The budget is reckoned from what was free beforehand. Others on the device may have taken it since.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from core.experiment import InputError
from core.models.memory import free_bytes
from core.patching.budget import row_bytes
from core.recording import Recording

HALVINGS = 3
# What torch says in plain RuntimeErrors: on MPS and a CPU, and where CUDA itself or its libraries find no room.
_SHORT = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "bad_alloc")

Result = TypeVar("Result")


def within_memory(
    recipient: Recording, chunks: Iterable[list[int]], run: Callable[[list[int]], Result]
) -> Iterator[tuple[list[int], Result]]:
    """(rows, what `run` gives for them) of every chunk, in parts of half the size after each time that memory ran out.

    An `InputError` after the third time, or where not even one row fits. A chunk's last rows go first: the deepest.
    """
    most, halvings = None, 0
    for chunk in chunks:
        left = list(chunk)
        while left:
            part = left[-most:] if most else left
            result = _unless_short(run, part)
            if result is not None:
                left = left[: -len(part)]
                yield part, result
            elif halvings == HALVINGS or len(part) == 1:
                raise _refused(recipient, len(part))
            else:
                most, halvings = len(part) // 2, halvings + 1


def is_short(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    said = str(error).lower()
    short = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return short or isinstance(error, RuntimeError) and any(words in said for words in _SHORT)


def _unless_short(run: Callable[[list[int]], Result], part: list[int]) -> Result | None:
    try:
        return run(part)
    except (RuntimeError, MemoryError) as error:
        if not is_short(error):
            raise
    # Only here is what the pass held released: the error held its frames.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    return None


def _refused(recipient: Recording, rows: int) -> InputError:
    device, tokens = str(recipient.bridge.cfg.device), len(recipient.ids)
    room = min(free_bytes(device), (rows + 1) * row_bytes(recipient) - 1)
    fits = next((n for n in range(tokens - 1, 0, -1) if 2 * row_bytes(recipient, positions=n) <= room), 0)
    would = f"a prompt of {fits} tokens would fit; shorten it" if fits else "no shorter prompt would fit; free memory"
    return InputError(
        f"patching this prompt of {tokens} tokens ran out of memory on {device} with no more than {rows} "
        f"{'row' if rows == 1 else 'rows'} at once; {would}, or choose a smaller pair or dtype",
        "sentence",
    )
