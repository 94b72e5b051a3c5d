"""What a question works on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.worker import Context

if TYPE_CHECKING:
    from core.models.loading import LoadedPair
    from core.runs import Runs


@dataclass(frozen=True, eq=False)
class Work:
    """What a question works on: the recorded runs of a resident pair, and its line to the worker.

    seconds: wall-clock of the stages `load` and `record`, 0 where nothing had to be done.
    known: (question, **options) → what was answered before about this experiment and is still kept, or None.
    beside: dtype → a context with the same prompt's runs in that dtype, beside these; raises TooLarge at entry.
    """

    runs: Runs
    pair: LoadedPair
    ctx: Context
    seconds: dict[str, float]
    known: Callable[..., Any] = lambda question, **options: None
    beside: Callable[[str], AbstractContextManager[Runs]] | None = None
