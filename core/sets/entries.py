"""The rows of a prompt set as plain values: as they were typed, and as a pair of models reads them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property

from core.experiment import Experiment
from core.prompt import AnsweredPrompt


@dataclass(frozen=True)
class Entry:
    """One prompt of a set, as typed. line: of the file, from 1. template: "" where the row leaves it open."""

    line: int
    id: str
    instruction: str
    sentence: str
    original: str
    answers: tuple[str, ...]
    structure: str = ""
    template: str = ""

    def experiment(self, of: Experiment, answer: str) -> Experiment:
        """The prompt with one of its answers; models, dtype and a template that is left open are those of `of`."""
        return replace(
            of,
            instruction=self.instruction,
            sentence=self.sentence,
            original=self.original,
            answer=answer,
            occurrence=0,
            prompt="",
            colon=0,
            picked=None,
            template=self.template or of.template,
        )


@dataclass(frozen=True)
class Refused:
    """A row that cannot be used, and why. id: as in `Entry`, "" where the row has none that could be read."""

    line: int
    id: str
    reason: str


@dataclass(frozen=True)
class PromptSet:
    """The rows of a file in its order: the good ones, and those that were left out."""

    entries: tuple[Entry, ...]
    refused: tuple[Refused, ...]

    @property
    def structures(self) -> tuple[str, ...]:
        """Each once, in their order."""
        return tuple(dict.fromkeys(entry.structure for entry in self.entries if entry.structure))

    @property
    def instructions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.instruction for entry in self.entries))


@dataclass(frozen=True)
class Used:
    """A row that is run. note: which answers were passed over for the one that is taken, else ""."""

    entry: Entry
    prompt: AnsweredPrompt
    note: str

    @cached_property
    def key(self) -> str:
        """What its numbers are kept under: everything of the row that they depend on."""
        prompt = self.prompt
        of = [prompt.ids, prompt.answer_id, prompt.original_id, prompt.roles, prompt.colons]
        return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Usable:
    """A set against a pair: the rows that run, and every row that does not, in the file's order."""

    used: tuple[Used, ...]
    refused: tuple[Refused, ...]
