"""`python -m core recognize`: what the instruction does, over a set of prompts, and the heads that carry it, as tables.

What is finished is kept beside the tables, as with `core.sets.command`: the same command goes on there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from core.console import Clock, Lines
from core.experiment import Experiment
from core.export.tables import write_whole
from core.models.loading import LoadedPair
from core.recognize.heads import Countered, countered, heads_of, run_heads
from core.recognize.instructions import FIELD, Variants, instructions_of, run_instructions, variants
from core.recognize.results import KINDS, Recognized, set_up_of
from core.results import MODELS
from core.set_findings import of_heads, of_instructions
from core.sets.command import manifest_of, written_with
from core.sets.entries import PromptSet, Usable
from core.sets.fields import common_roles
from core.sets.kept import Kept, OnDisk, set_up
from core.sets.usable import usable

TABLES = ("instructions", "heads", "prompts")


def run_and_write(
    args: argparse.Namespace,
    file: Path,
    given: PromptSet,
    pair: LoadedPair,
    models: Experiment,
    max_tokens: int,
    clock: Clock,
) -> str:
    """The last line of the command; tables and manifest are in `args.out`."""
    rows = usable(given, pair, models, max_tokens)
    common_roles(rows.used)  # refuses a set without a prompt
    every = variants(rows.used, pair, models, max_tokens)
    against = None if args.counter is None else countered(rows.used, pair, models, args.counter, max_tokens)
    args.out.mkdir(exist_ok=True)
    with clock.stage("instructions"), OnDisk(args.out / set_up(pair.manifest, set_up_of())) as kept:
        run_instructions(every, pair, kept, Lines("prompts under several instructions"))
        instructed = instructions_of(every, rows.refused, kept)
        prompts = _prompts(rows, every, kept)
    said, tables = [of_instructions(instructed)], {"instructions": instructed.to_frame(), "prompts": prompts}
    details: dict[str, object] = {
        "wordings": instructed.wordings,
        "left_out": [
            {"instruction": kind, "reason": reason, "prompts": count}
            for (kind, reason), count in instructed.left_out.items()
        ],
    }
    if against is not None:
        with clock.stage("heads"):
            heads = _heads(against, rows, pair, args.out)
        if heads.ran:
            said.append(of_heads(heads))
            tables["heads"] = heads.to_frame()
        details |= _counters(heads)
    write_whole(written_with(manifest_of(pair.manifest, file, rows, models, clock, **details), tables, args.out))
    # A table of an earlier run would pass for one of this.
    for name in set(TABLES) - set(tables):
        (args.out / f"{name}.csv").unlink(missing_ok=True)
    return f"{' '.join(said)} Wrote {args.out}"


def _heads(found: Countered, rows: Usable, pair: LoadedPair, out: Path) -> Recognized:
    with OnDisk(out / set_up(pair.manifest, set_up_of(found.task))) as kept:
        run_heads(found, pair, kept, Lines(f"prompts patched against “{found.task}”"))
        return heads_of(found, rows.refused, pair, kept)


def _counters(found: Recognized) -> Mapping[str, object]:
    """Which instruction stood against which, why none did, and both models' gaps over these prompts."""
    gap = {name: array.tolist() for name, array in asdict(found.gap).items() if name != "n"}
    return {
        "counter": found.task,
        "counters": found.counters,
        "without": found.without,
        "gap": {model: {"n": found.gap.n} | {name: gap[name][m] for name in gap} for m, model in enumerate(MODELS)},
    }


def _prompts(rows: Usable, every: Variants, kept: Kept) -> pd.DataFrame:
    """One row a prompt, in the file's order: its logit difference under every instruction, in both models."""
    values = kept.column(FIELD, [row.key for row in every.used]).reshape(len(every.used), -1)
    columns = [f"{kind}_{model}" for kind in KINDS for model in MODELS]
    told = [
        {
            "id": row.entry.id, "used": True, "reason": row.note, "line": row.entry.line,
            "instruction": row.entry.instruction, "sentence": row.entry.sentence, "original": row.entry.original,
            "answer": row.prompt.answer,
        }
        for row in every.used
    ]  # fmt: skip
    used = pd.DataFrame(told).assign(**dict(zip(columns, np.asarray(values, float).T)))
    out = [{"id": row.id, "used": False, "reason": row.reason, "line": row.line} for row in rows.refused]
    frame = pd.concat([used, pd.DataFrame(out)], ignore_index=True) if out else used
    return frame.sort_values("line", kind="stable", ignore_index=True)
