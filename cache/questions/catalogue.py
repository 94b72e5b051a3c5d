"""Every question: how urgent it is, which function answers it, and what of an experiment it does not look at.

A question gets the runs on an experiment and its own options and returns a frozen, torch-free result. The core is
imported inside the functions: pages import this module, and it must not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, get_type_hints

from cache.questions import attention, controls, neurons, overview, patching, precision, rewriting, sets
from core.experiment import Experiment
from core.patching import cost
from core.patching.cost import Cost
from core.patching.plan import CANDIDATES

# A viewer's first figures go before what follows them a second later (texts, one head's patches), and that before
# anybody's sweep; a set of prompts takes the longest, and lets everything else in between two of them.
FIRST, NEXT, TEXT, SWEEP, SET = 3, 2, 1, 0, -1

_DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(Experiment)}
# Positions that a view follows: no forward pass reads them.
ROLES = frozenset({"picked", "colon"})
# What decides which numbers a pair of models is made of, whatever it reads.
_MODELS = frozenset({"pair", "base", "instruct", "dtype"})


@dataclass(frozen=True)
class Question:
    """priority: of its job. ignores: the fields of an experiment that its answer does not depend on.

    ignores_free: those that it ignores in a free prompt besides: in a sentence the original decides where END is.
    lasts: whether an answer holds on another machine and another day. cost: of a plan of patches, by the models' shape
    and its options.
    """

    priority: int
    answer: Callable[..., Any]
    ignores: frozenset[str] = frozenset()
    ignores_free: frozenset[str] = frozenset()
    lasts: Callable[[Any], bool] = lambda answer: True
    cost: Callable[..., Cost] | None = None

    @property
    def kind(self) -> Any:
        """The type that the function declares to return: what an answer is encoded as."""
        return get_type_hints(self.answer)["return"]

    def matters(self, experiment: Experiment) -> Experiment:
        """The experiment with everything at its default that the question does not look at: two that are then equal
        have one answer."""
        ignored = self.ignores | self.ignores_free if experiment.is_free else self.ignores
        return replace(experiment, **{name: _DEFAULT[name] for name in ignored})


def _of_text(priority: int, answer: Callable[..., Any]) -> Question:
    """A question about the prompt's text alone, whatever the candidates: it asks for no runs but `Work.read`."""
    return Question(priority, answer, ROLES | {"answer"}, frozenset({"original"}))


def _of_set(answer: Callable[..., Any]) -> Question:
    """A question about a set of prompts, whatever prompt is on screen; a row may leave the template open."""
    return Question(SET, answer, frozenset(_DEFAULT) - _MODELS - {"template"})


QUESTIONS: dict[str, Question] = {
    "overview": Question(FIRST, overview.overview),
    "rewriting": Question(FIRST, rewriting.rewriting, ROLES | {"original", "occurrence", "answer"}),
    "attribution": Question(NEXT, overview.attribution, ROLES),
    "depth": Question(NEXT, overview.depth, ROLES),
    "attention": Question(NEXT, attention.attention),
    "pattern": _of_text(NEXT, attention.pattern),
    "patterns": _of_text(NEXT, attention.patterns),
    "layer_patterns": _of_text(NEXT, attention.layer_patterns),
    "head": Question(NEXT, attention.head),
    "head_scores": Question(NEXT, attention.head_scores, frozenset(_DEFAULT) - _MODELS),
    "head_patches": Question(TEXT, attention.head_patches, ROLES),
    "head_controls": Question(TEXT, controls.head_controls, ROLES),
    "continuation": _of_text(TEXT, overview.continuation),
    "neurons": Question(NEXT, neurons.neurons, ROLES),
    "neuron_patches": Question(TEXT, neurons.neuron_patches, ROLES),
    "estimate": Question(NEXT, patching.estimate, ROLES),
    "direct": Question(NEXT, controls.direct, ROLES),
    "sweep": Question(SWEEP, patching.sweep, ROLES, cost=cost.of_sweep),
    "early_late": Question(SWEEP, patching.early_late, ROLES, cost=cost.of_early_late),
    "smallest_block": Question(SWEEP, patching.smallest_block, ROLES, cost=cost.of_blocks),
    "weight_norms": Question(NEXT, patching.weight_norms, frozenset(_DEFAULT) - _MODELS),
    "position_map": Question(SWEEP, patching.position_map, ROLES, cost=cost.of_position_map),
    "pairs": Question(SWEEP, patching.pairs, ROLES, cost=cost.of_pairs),
    "head_set": Question(SWEEP, patching.head_set, ROLES),
    "greedy": Question(SWEEP, patching.greedy, ROLES, cost=partial(cost.of_greedy, candidates=CANDIDATES)),
    "paths": Question(SWEEP, patching.paths, ROLES, cost=cost.of_paths),
    "card": Question(SWEEP, patching.card, ROLES, cost=cost.of_card),
    "stored_gap": Question(TEXT, precision.stored_gap, ROLES, lasts=lambda gap: not gap.reason),
    "prompt_set": _of_set(sets.prompt_set),
    "instructions": _of_set(sets.instructions),
    "recognized": _of_set(sets.recognized),
    "recomputed": Question(SWEEP, precision.recomputed, ROLES),
}
