"""`python -m core prompts`: a set run and written, with what is finished kept beside the tables.

A folder holds one file of finished prompts for each set-up (models, versions, sweeps): the same command goes on there,
another one begins a file of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from core.console import Clock, Lines
from core.experiment import Experiment
from core.export.tables import to_csv, write_whole
from core.sets.entries import PromptSet, Usable, Used
from core.sets.fields import Plan, common_roles
from core.sets.kept import Kept, OnDisk, set_up
from core.sets.parts import SoFar
from core.sets.results import SetResult, result_of, with_interval
from core.sets.statistics import CONFIDENCE, DRAWS, FLIPS
from core.wording import signed

if TYPE_CHECKING:
    from core.models.loading import LoadedPair

TABLES = ("summary", "attribution", "attention", "patching", "prompts")


class Where(Protocol):
    """Where a set runs. manifest: of the pair that does."""

    @property
    def manifest(self) -> dict[str, Any]: ...

    def usable(self, found: PromptSet, of: Experiment, max_tokens: int) -> Usable: ...

    def run_set(self, used: Sequence[Used], plan: Plan, kept: Kept, progress: Callable[[SoFar], None]) -> None: ...


class Here:
    """In this process, by a resident pair."""

    def __init__(self, pair: LoadedPair) -> None:
        self._pair = pair

    @property
    def manifest(self) -> dict[str, Any]:
        return self._pair.manifest

    def usable(self, found: PromptSet, of: Experiment, max_tokens: int) -> Usable:
        from core.sets.usable import usable

        return usable(found, self._pair, of, max_tokens)

    def run_set(self, used: Sequence[Used], plan: Plan, kept: Kept, progress: Callable[[SoFar], None]) -> None:
        from core.sets.running import run_set

        # oneDNN, and torch on top of it, keep what was compiled for each shape of a matrix, up to 1,024 of them, and a
        # set has as many shapes as lengths: a third of all it takes. Read once, before the first product.
        for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
            os.environ.setdefault(name, "16")
        run_set(used, self._pair, plan, kept, progress=progress)


def run_and_write(
    args: argparse.Namespace,
    file: Path,
    given: PromptSet,
    where: Where,
    models: Experiment,
    sites: tuple[str, ...],
    max_tokens: int,
    clock: Clock,
) -> str:
    """The last line of the command; tables and manifest are in `args.out`."""
    rows = where.usable(given, models, max_tokens)
    plan = Plan(sites, args.direction, args.positions, common_roles(rows.used))
    args.out.mkdir(exist_ok=True)
    with OnDisk(args.out / set_up(where.manifest, plan.to_json())) as kept:
        with clock.stage("run"):
            where.run_set(rows.used, plan, kept, _told(Lines()))
        with clock.stage("averages"):
            found = result_of(rows, plan, kept)
    tables = found.tables()
    manifest = manifest_of(where.manifest, file, rows, models, clock, **plan.to_json())
    files = written_with(manifest, tables, args.out)
    if args.report:
        from core.export.set_contents import set_report

        files[args.report] = set_report(found, {"manifest": manifest})
    write_whole(files)
    # A table of an earlier run would pass for one of this.
    for name in set(TABLES) - set(tables):
        (args.out / f"{name}.csv").unlink(missing_ok=True)
    return f"{_said(found)}; wrote {args.out}"


def manifest_of(
    pair: Mapping[str, Any], file: Path, rows: Usable, models: Experiment, clock: Clock, **details: object
) -> dict[str, Any]:
    """Of a run over a set. pair: the pair's own manifest; details: what else was asked for."""
    of_set = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "rows": len(rows.used) + len(rows.refused),
        "used": len(rows.used),
        "template": models.template,
    }
    statistics = {"confidence": CONFIDENCE, "bootstrap_draws": DRAWS, "sign_flips": FLIPS}
    seconds = {stage: round(value, 6) for stage, value in clock.seconds.items()}
    return {**pair, "set": of_set, **details, "statistics": statistics, "seconds": seconds}


def written_with(manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], out: Path) -> dict[Path, str | bytes]:
    """Every table and the manifest, as files of the folder."""
    files: dict[Path, str | bytes] = {out / f"{name}.csv": to_csv(frame) for name, frame in tables.items()}
    return files | {out / "manifest.json": json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False)}


def _said(found: SetResult) -> str:
    assert found.averages is not None, "the set has run"
    mean = found.averages.summary["logit_diff"]
    models = ", ".join(f"{name} {with_interval(mean, m)}" for m, name in enumerate(("BASE", "INSTRUCT")))
    left_out = f", {len(found.refused)} rows left out" if found.refused else ""
    return f"mean logit difference over {len(found.ran)} prompts{left_out}: {models}"


def _told(lines: Lines) -> Callable[[SoFar], None]:
    def tell(so_far: SoFar) -> None:
        base, instruct = map(signed, so_far.logit_diff)
        means = f" (mean logit difference BASE {base}, INSTRUCT {instruct})" if so_far.done else ""
        lines(so_far.done, so_far.total, means)

    return tell
