"""A few prompts of the shipped set, for tests that run a set whole."""

from __future__ import annotations

from core.experiment import Experiment
from core.models.loading import LoadedPair
from core.sets.averages import SetAverages
from core.sets.entries import Used
from core.sets.reading import read_file, shipped_file
from core.sets.usable import usable

COUNT = 6


def few_prompts(pair: LoadedPair) -> tuple[Used, ...]:
    """COUNT of the embedded pair's, of several structures and lengths, and of one instruction and length three."""
    found = usable(read_file(shipped_file("tiny")), pair, Experiment()).used
    spread = found[:: len(found) // COUNT][: COUNT - 2]
    kind = lambda row: (row.entry.instruction, len(row.prompt.ids))  # noqa: E731
    return (*spread, *[row for row in found if row not in spread and kind(row) == kind(spread[0])][:2])


def same(a: SetAverages, b: SetAverages) -> bool:
    tables = a.tables(), b.tables()
    return list(tables[0]) == list(tables[1]) and all(
        frame.to_csv(index=False) == tables[1][name].to_csv(index=False) for name, frame in tables[0].items()
    )
