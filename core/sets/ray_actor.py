"""What one actor of a Ray cluster does for a set: it loads a pair, reads prompts and runs parts. It knows no Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.experiment import Experiment, InputError
from core.models.pairs import PairSpec
from core.sets.entries import PromptSet, Usable
from core.sets.fields import Plan
from core.sets.kept import Values
from core.sets.parts import Part

if TYPE_CHECKING:
    from core.models.loading import LoadedPair
    from core.sets.running import Runner

Result = TypeVar("Result")


@dataclass(frozen=True)
class Loading:
    """How an actor loads its pair; dtype, device, limit and cache as in `load_pair`, threads as in `fit_threads`."""

    spec: PairSpec
    dtype: str
    device: str
    limit: int | None
    cache: Path
    threads: int | None


@dataclass(frozen=True)
class Refused:
    """An `InputError` on its way back: as an exception it would arrive wrapped, with a traceback for its message."""

    message: str
    field: str


class Actor:
    """What Ray makes an actor of."""

    _pair: LoadedPair
    _runner: tuple[Plan, Runner] | None = None

    def load(self, how: Loading) -> dict[str, Any] | Refused:
        """What is loaded: the pair's manifest."""
        from core.models.loading import fit_threads, load_pair

        def load() -> dict[str, Any]:
            self._pair = load_pair(how.spec, how.dtype, how.device, limit=how.limit, cache=how.cache)
            fit_threads(self._pair, how.threads)
            return self._pair.manifest

        return _or_refused(load)

    def usable(self, found: PromptSet, of: Experiment, max_tokens: int) -> Usable | Refused:
        from core.sets.usable import usable

        return _or_refused(lambda: usable(found, self._pair, of, max_tokens))

    def run(self, part: Part, plan: Plan) -> list[list[tuple[str, Values]]] | Refused:
        from core.sets.running import Runner

        if self._runner is None or self._runner[0] != plan:
            self._runner = plan, Runner(self._pair, plan)
        runner = self._runner[1]
        return _or_refused(lambda: list(runner.run(part)))


def _or_refused(run: Callable[[], Result]) -> Result | Refused:
    try:
        return run()
    except InputError as error:
        return Refused(str(error), error.field)
