"""What one job must not leave to another: frames that hold its models, torch's modes and its number of threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.models.loading import LoadedPair


def drop_frames(error: BaseException) -> None:
    """A traceback's frames hold the job's locals, models among them, as long as anybody holds the error."""
    seen: set[int] = set()
    stack: list[BaseException | None] = [error]
    while stack:
        item = stack.pop()
        if item is not None and id(item) not in seen:
            seen.add(id(item))
            item.__traceback__ = None
            stack += [item.__cause__, item.__context__, *getattr(item, "exceptions", ())]


@contextmanager
def default_torch_modes() -> Iterator[None]:
    """Grad and inference mode are the thread's: a nested job must not inherit those of the job it interrupts."""
    torch = sys.modules.get("torch")
    with ExitStack() as stack:
        # Absent too while another thread is still importing torch.
        if torch is not None and hasattr(torch, "inference_mode"):
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        yield


@contextmanager
def fitted_threads(pair: LoadedPair, threads: int | None) -> Iterator[None]:
    """Their number is the process's: a job within another one's leaves it as it was."""
    import torch

    from core.models.loading import fit_threads

    before = torch.get_num_threads()
    fit_threads(pair, threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
