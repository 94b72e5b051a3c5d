"""Every question: how urgent it is, which function answers it, and what of an experiment it does not look at.

A question gets the recorded runs and its own options and returns a frozen, torch-free result. The core is imported
inside the functions: pages import this module, and it must not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

from cache.questions import attention, overview, patching, precision, rewriting
from core.experiment import Experiment

# A viewer's first figures go before what follows them a second later (texts, one head's patches), and that before
# anybody's sweep.
FIRST, NEXT, TEXT, SWEEP = 3, 2, 1, 0

_DEFAULT = {field.name: field.default for field in fields(Experiment)}


@dataclass(frozen=True)
class Question:
    """priority: of its job. ignores: the fields of an experiment that its answer does not depend on."""

    priority: int
    answer: Callable
    ignores: frozenset[str] = frozenset()

    @property
    def kind(self) -> Any:
        """The type that the function declares to return: what an answer is encoded as."""
        return get_type_hints(self.answer)["return"]

    def matters(self, experiment: Experiment) -> Experiment:
        """The experiment with everything at its default that the question does not look at: two that are then equal
        have one answer."""
        return replace(experiment, **{name: _DEFAULT[name] for name in self.ignores})


QUESTIONS: dict[str, Question] = {
    "overview": Question(FIRST, overview.overview),
    "rewriting": Question(
        FIRST, rewriting.rewriting, frozenset({"original", "occurrence", "answer", "picked", "colon"})
    ),
    "attribution": Question(NEXT, overview.attribution),
    "attention": Question(NEXT, attention.attention),
    "pattern": Question(NEXT, attention.pattern),
    "patterns": Question(NEXT, attention.patterns),
    "layer_patterns": Question(NEXT, attention.layer_patterns),
    "head": Question(NEXT, attention.head),
    "head_scores": Question(NEXT, attention.head_scores),
    "head_patches": Question(TEXT, attention.head_patches),
    "continuation": Question(TEXT, overview.continuation),
    "estimate": Question(NEXT, patching.estimate),
    "sweep": Question(SWEEP, patching.sweep),
    "position_map": Question(SWEEP, patching.position_map),
    "pairs": Question(SWEEP, patching.pairs),
    "head_set": Question(SWEEP, patching.head_set),
    "greedy": Question(SWEEP, patching.greedy),
    "stored_gap": Question(TEXT, precision.stored_gap),
    "recomputed": Question(SWEEP, precision.recomputed),
}
