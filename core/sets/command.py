"""`python -m core prompts`: a set run and written, with what is finished kept beside the tables.

A folder holds one file of finished prompts for each set-up (models, versions, sweeps): the same command goes on there,
another one begins a file of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from core.console import Clock
from core.experiment import Experiment
from core.export.tables import to_csv, write_whole
from core.models.loading import LoadedPair
from core.sets.entries import PromptSet, Usable
from core.sets.fields import Plan, common_roles
from core.sets.kept import OnDisk, set_up
from core.sets.results import SetResult, result_of, with_interval
from core.sets.running import SoFar, run_set
from core.sets.statistics import CONFIDENCE, DRAWS, FLIPS
from core.sets.usable import usable
from core.wording import signed

TABLES = ("summary", "attribution", "attention", "patching", "prompts")
_SILENCE = 5  # seconds between two lines of progress


def run_and_write(
    args: argparse.Namespace,
    file: Path,
    given: PromptSet,
    pair: LoadedPair,
    models: Experiment,
    sites: tuple[str, ...],
    max_tokens: int,
    clock: Clock,
) -> str:
    """The last line of the command; tables and manifest are in `args.out`."""
    rows = usable(given, pair, models, max_tokens)
    plan = Plan(sites, args.direction, args.positions, common_roles(rows.used))
    args.out.mkdir(exist_ok=True)
    with OnDisk(args.out / set_up(pair.manifest, plan.to_json())) as kept:
        with clock.stage("run"):
            run_set(rows.used, pair, plan, kept, progress=_Lines())
        with clock.stage("averages"):
            found = result_of(rows, plan, kept)
    tables = found.tables()
    files: dict[Path, str | bytes] = {args.out / f"{name}.csv": to_csv(frame) for name, frame in tables.items()}
    manifest = _manifest(file, rows, pair, plan, models, clock)
    files[args.out / "manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False)
    write_whole(files)
    # A table of an earlier run would pass for one of this.
    for name in set(TABLES) - set(tables):
        (args.out / f"{name}.csv").unlink(missing_ok=True)
    return f"{_said(found)}; wrote {args.out}"


def _manifest(
    file: Path, rows: Usable, pair: LoadedPair, plan: Plan, models: Experiment, clock: Clock
) -> dict[str, Any]:
    of_set = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "rows": len(rows.used) + len(rows.refused),
        "used": len(rows.used),
        "template": models.template,
    }
    statistics = {"confidence": CONFIDENCE, "bootstrap_draws": DRAWS, "sign_flips": FLIPS}
    seconds = {stage: round(value, 6) for stage, value in clock.seconds.items()}
    return {**pair.manifest, "set": of_set, **plan.to_json(), "statistics": statistics, "seconds": seconds}


def _said(found: SetResult) -> str:
    assert found.averages is not None, "the set has run"
    mean = found.averages.summary["logit_diff"]
    models = ", ".join(f"{name} {with_interval(mean, m)}" for m, name in enumerate(("BASE", "INSTRUCT")))
    left_out = f", {len(found.refused)} rows left out" if found.refused else ""
    return f"mean logit difference over {len(found.ran)} prompts{left_out}: {models}"


class _Lines:
    """Progress as lines on stderr, seconds apart."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, so_far: SoFar) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = so_far.done
        elif now - self._last < _SILENCE and so_far.done < so_far.total:
            return
        self._last = now
        ran, to_run = so_far.done - self._first, so_far.total - so_far.done
        left = f", about {self._rest(now, ran, to_run)} left" if ran and to_run else ""
        base, instruct = map(signed, so_far.logit_diff)
        means = f" (mean logit difference BASE {base}, INSTRUCT {instruct})" if so_far.done else ""
        print(f"{so_far.done} of {so_far.total} prompts{left}{means}", file=sys.stderr, flush=True)

    def _rest(self, now: float, ran: int, to_run: int) -> str:
        seconds = (now - self._began) / ran * to_run
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
