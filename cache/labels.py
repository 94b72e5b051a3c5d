"""What is written beside an answer on disk, for whoever lists or chooses answers: its question, as an address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from cache.questions.catalogue import QUESTIONS
from core.experiment import Experiment, from_query, shorten, to_query
from core.models.places import is_path, last_part

MODELS = ("pair", "base", "instruct", "dtype")


@dataclass(frozen=True)
class Label:
    """experiment: as `Question.matters` leaves it. An answer's options are in its key alone."""

    question: str
    experiment: Experiment

    def __str__(self) -> str:
        return f"{self.question}?{urlencode(to_query(self.experiment))}"

    @property
    def portable(self) -> Label:
        """Without what another machine has no use for: of a path its last part."""
        given = self.experiment
        base, instruct = (last_part(name) if is_path(name) else name for name in (given.base, given.instruct))
        return replace(self, experiment=replace(given, base=base, instruct=instruct))

    @property
    def of_prompt(self) -> bool:
        """Whether the answer depends on the prompt, and not on the models alone."""
        return "sentence" not in QUESTIONS[self.question].ignores

    @property
    def about(self) -> str:
        """The models and the prompt, in one line."""
        given = self.experiment
        prompt = shorten(given.prompt or f"{given.instruction}: {given.sentence}", 120)
        return f"{given.pair or f'{given.base} → {given.instruct}'} · {prompt if self.of_prompt else 'any prompt'}"

    def is_about(self, experiment: Experiment) -> bool:
        """Whether the answer is one of this experiment's prompt, on whatever models."""
        models = {name: getattr(self.experiment, name) for name in MODELS}
        return QUESTIONS[self.question].matters(replace(experiment, **models)) == self.experiment


def read_label(text: str) -> Label | None:
    """The label that was written, or None for anything else."""
    question, mark, query = text.partition("?")
    if not mark or question not in QUESTIONS:
        return None
    experiment, complaints = from_query(dict(parse_qsl(query, keep_blank_values=True)))
    return None if complaints else Label(question, experiment)
