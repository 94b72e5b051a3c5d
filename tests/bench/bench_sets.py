"""Prompts of one instruction that share their beginning against each on its own: a z sweep of each, in turns.

On the tiny pair and, where its files are there, on the real one; a ratio of medians within one run.
"""

from __future__ import annotations

from statistics import median

from core.experiment import Experiment
from core.models.loading import fit_threads, load_pair
from core.models.pairs import EMBEDDED, REAL, lacking, registry
from core.sets import running
from core.sets.entries import Used
from core.sets.fields import Plan, common_roles
from core.sets.kept import InMemory
from core.sets.reading import read_file, shipped_file
from core.sets.running import run_set
from core.sets.usable import usable
from tests.bench.bench_patching import seconds

PROMPTS = {EMBEDDED: 24, REAL: 6}
TURNS = 3


def measured(name: str) -> None:
    pair = load_pair(registry()[name])
    fit_threads(pair, 2)
    found = usable(read_file(shipped_file(name)), pair, Experiment(pair=name)).used
    used = [row for row in found if row.entry.instruction == found[0].entry.instruction][: PROMPTS[name]]
    plan = Plan(("z",), "instruct_to_base", "all", common_roles(used))

    def together(rows: list[Used]) -> float:
        return seconds(lambda: run_set(rows, pair, plan, InMemory()))

    together(used[:1])
    times = [(together(used), sum(together([row]) for row in used)) for _ in range(TURNS)]
    shared, alone = (median(column) for column in zip(*times))
    tokens = len(running._beginning(used, pair).recordings[0].ids)
    print(
        f"{name}: {len(used)} prompts of {min(len(r.prompt.ids) for r in used)}–{max(len(r.prompt.ids) for r in used)} "
        f"tokens, {tokens} shared: {alone / len(used):.2f} s a prompt alone, {shared / len(used):.2f} s together, "
        f"{alone / shared:.2f} ×"
    )


def main() -> None:
    for name in PROMPTS:
        if not lacking(registry()[name]):
            measured(name)
