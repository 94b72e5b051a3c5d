"""What there is of a prompt set on a pair of models: the prompts that ran, those left out, and averages of the former.

Nothing here knows torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.sets.averages import SetAverages, averages_of
from core.sets.entries import Entry, Refused, Usable
from core.sets.fields import Plan
from core.sets.kept import Kept
from core.sets.statistics import Average
from core.wording import signed

_COLUMNS = ("id", "used", "reason", "base_logit_diff", "instruct_logit_diff", "line", "structure", "instruction")


@dataclass(frozen=True)
class Ran:
    """A prompt that has run. answer: the token that was taken; note: which answers were passed over for it, else "".

    base, instruct: each model's logit difference.
    """

    entry: Entry
    answer: str
    note: str
    base: float
    instruct: float


@dataclass(frozen=True)
class SetResult:
    """usable: how many prompts can be run; ran: those that have, in the set's order; averages: of these, None of none.

    refused: the rows that are left out, each with its reason.
    """

    usable: int
    ran: tuple[Ran, ...]
    refused: tuple[Refused, ...]
    averages: SetAverages | None

    @property
    def logit_diff(self) -> np.ndarray:
        """(prompt, model), BASE then INSTRUCT."""
        return np.array([(row.base, row.instruct) for row in self.ran]).reshape(len(self.ran), 2)

    @property
    def chosen(self) -> tuple[Ran, ...]:
        """Those of which a later answer was taken, the first ones being several tokens."""
        return tuple(row for row in self.ran if row.note)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that are written, by name."""
        return (self.averages.tables() if self.averages else {}) | {"prompts": self.to_frame()}

    def to_frame(self) -> pd.DataFrame:
        """One row a prompt, in the file's order: id, used, reason, both logit differences, and what the prompt is."""
        rows: list[dict[str, object]] = [
            {"line": row.line, "id": row.id, "used": False, "reason": row.reason} for row in self.refused
        ]
        for row in self.ran:
            rows.append(
                {
                    "line": row.entry.line,
                    "id": row.entry.id,
                    "used": True,
                    "reason": row.note,
                    "base_logit_diff": row.base,
                    "instruct_logit_diff": row.instruct,
                    "structure": row.entry.structure,
                    "instruction": row.entry.instruction,
                    "sentence": row.entry.sentence,
                    "original": row.entry.original,
                    "answer": row.answer,
                }
            )
        frame = pd.DataFrame(rows, columns=[*_COLUMNS, "sentence", "original", "answer"])
        return frame.sort_values("line", kind="stable", ignore_index=True)


def with_interval(found: Average, *cell: int) -> str:
    """“+2.44 [+2.18, +2.71]”: a mean and its 95% interval, the mean alone where there is none."""
    mean, low, high = (float(array[cell]) for array in (found.mean, found.ci_low, found.ci_high))
    return signed(mean) if math.isnan(low) else f"{signed(mean)} [{signed(low)}, {signed(high)}]"


def result_of(rows: Usable, plan: Plan, kept: Kept) -> SetResult:
    """Of the prompts that are kept."""
    done = [row for row in rows.used if row.key in kept]
    logit_diff = kept.column("logit_diff", [row.key for row in done]) if done else np.empty((0, 2))
    ran = tuple(
        Ran(row.entry, row.prompt.answer, row.note, float(base), float(instruct))
        for row, (base, instruct) in zip(done, logit_diff)
    )
    return SetResult(len(rows.used), ran, rows.refused, averages_of(done, plan, kept) if done else None)
