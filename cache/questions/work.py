"""What a question works on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cache.context import Context
from cache.pace import Pace
from core.experiment import Experiment, InputError
from core.patching.begun import Begun
from core.prompt import MAX_TOKENS
from core.sets.kept import InMemory, Kept

if TYPE_CHECKING:
    from cache.identity import Both
    from core.models.loading import LoadedPair
    from core.patching.cost import Cost
    from core.patching.plan import Shape
    from core.reading import TextRuns
    from core.runs import Runs


@dataclass(frozen=True)
class Earlier:
    """What is known of an experiment from earlier questions.

    known: (question, **options) → what was answered before and is still kept, or None. begun, keep: how far this very
    question had come when it was broken off, and where to say how far it has come now.
    finished: under a name, the numbers of each prompt of a set that has run.
    """

    known: Callable[..., Any] = lambda question, **options: None
    begun: Callable[[], Begun | None] = lambda: None
    keep: Callable[[Begun], None] = lambda ran: None
    finished: Callable[[str], AbstractContextManager[Kept]] = lambda name: nullcontext(InMemory())


def _unread() -> TextRuns:
    raise AssertionError("nothing reads a text here")


def _alone(dtype: str) -> AbstractContextManager[Runs]:
    raise InputError(f"no models in {dtype} can be had beside these", "dtype")


@dataclass(frozen=True, eq=False)
class Work:
    """What a question works on: the runs of a resident pair, and its line to the worker.

    run: records both models on the experiment, or gives what was recorded a moment ago; read: the same for its text
    alone, whose candidates may then be whatever they are.
    seconds: wall-clock of the stages `load` and `record`, 0 where nothing had to be done.
    beside: dtype → a context with the same prompt's runs in that dtype, beside these; raises TooLarge at entry.
    experiment: what is asked about; max_tokens: of its prompt, at most.
    weights: what names the pair's models as they were loaded, None where nothing does.
    pace: how fast patches run on the pair; cost: of the question, where it is a plan of patches.
    """

    run: Callable[[], Runs]
    pair: LoadedPair
    ctx: Context
    seconds: dict[str, float]
    earlier: Earlier = Earlier()
    beside: Callable[[str], AbstractContextManager[Runs]] = _alone
    experiment: Experiment = Experiment()
    max_tokens: int = MAX_TOKENS
    weights: Both | None = None
    read: Callable[[], TextRuns] = _unread
    pace: Pace = field(default_factory=Pace)
    cost: Callable[[Shape], Cost] | None = None

    @cached_property
    def runs(self) -> Runs:
        """Recorded when they are first looked at: not every question wants them, or has a word to record."""
        return self.run()
