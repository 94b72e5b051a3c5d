"""Prompt sets: prompts of one instruction together against each on its own, memory, and two Ray actors against one.

On the tiny pair and, where its files are there, on the real one; ratios within one run.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

from core.experiment import Experiment
from core.models.loading import LoadedPair, fit_threads, load_pair
from core.models.pairs import EMBEDDED, REAL, lacking, registry
from core.sets.entries import Used
from core.sets.fields import Plan, common_roles
from core.sets.kept import InMemory
from core.sets.on_ray import fleet
from core.sets.parts import parts_of
from core.sets.ray_actor import Loading
from core.sets.reading import read_file, shipped_file
from core.sets.running import run_set
from core.sets.usable import usable
from core.settings import DEFAULT_CACHE
from tests.bench.bench_patching import seconds
from tests.bench.peak import peak_bytes

PROMPTS = {EMBEDDED: 102, REAL: 8}
TURNS = 3
FEW, MANY = 20, 200  # prompts whose peaks of memory are compared


def of_one_instruction(found: tuple[Used, ...]) -> list[Used]:
    """The rows of the instruction that most have."""
    ((most, _),) = Counter(row.entry.instruction for row in found).most_common(1)
    return [row for row in found if row.entry.instruction == most]


def plan_of(used: list[Used] | tuple[Used, ...]) -> Plan:
    return Plan(("z",), "instruct_to_base", "all", common_roles(used))


def shared(name: str, pair: LoadedPair, found: tuple[Used, ...]) -> None:
    used = of_one_instruction(found)[: PROMPTS[name]]
    plan = plan_of(used)

    def together(rows: list[Used]) -> float:
        start = process_time()
        run_set(rows, pair, plan, InMemory())
        return process_time() - start

    together(used[:1])
    times = [(together(used), sum(together([row]) for row in used)) for _ in range(TURNS)]
    whole, alone = (median(column) for column in zip(*times))
    parts = parts_of(used, InMemory())
    lengths = [len(row.prompt.ids) for row in used]
    print(
        f"{name}: {len(used)} prompts of {min(lengths)}–{max(lengths)} tokens in {len(parts)} parts, "
        f"{len(parts[0].shared)} tokens shared: {1000 * alone / len(used):.0f} ms of CPU a prompt alone, "
        f"{1000 * whole / len(used):.0f} ms together, {alone / whole:.2f} ×"
    )


def memory() -> None:
    """The command line's peak, in a process of its own each."""
    lines = shipped_file(EMBEDDED).read_text(encoding="utf-8").splitlines()
    peaks = []
    with TemporaryDirectory() as folder:
        for count in (FEW, MANY):
            file = Path(folder, f"{count}.csv")
            file.write_text("\n".join([lines[0], *lines[-count:]]), encoding="utf-8")
            command = ["prompts", "--set", file, "--pair", EMBEDDED, "--sweeps", "z", "--out", Path(folder, str(count))]
            peaks.append(peak_bytes([sys.executable, "-m", "core", *map(str, command)]))
    few, many = peaks
    print(
        f"{EMBEDDED}, z sweep: peak memory of {FEW} prompts {few / 1e6:.0f} MB, of {MANY} {many / 1e6:.0f} MB, "
        f"{many / few:.2f} ×"
    )


def on_ray(found: tuple[Used, ...]) -> None:
    plan = plan_of(found)
    how = Loading(registry()[EMBEDDED], "", "cpu", None, DEFAULT_CACHE, 1)
    with fleet("local", how) as actors:

        def took(count: int) -> float:
            actors.most = count
            return seconds(lambda: actors.run_set(found, plan, InMemory()))

        # Loading is not what is measured.
        while len(actors.idle) < 2:
            took(2)
        times = [(took(1), took(2)) for _ in range(TURNS)]
    one, two = (median(column) for column in zip(*times))
    print(f"{EMBEDDED}, {len(found)} prompts on Ray: one actor {one:.1f} s, two {two:.1f} s, {one / two:.2f} ×")


def main() -> None:
    for name in PROMPTS:
        if not lacking(registry()[name]):
            pair = load_pair(registry()[name])
            fit_threads(pair, 2 if name == REAL else 1)
            shared(name, pair, usable(read_file(shipped_file(name)), pair, Experiment(pair=name)).used)
            if name == EMBEDDED:
                on_ray(usable(read_file(shipped_file(name)), pair, Experiment(pair=name)).used)
    memory()
