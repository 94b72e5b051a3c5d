"""The analyses without a screen: `python -m core analyze …` writes the app's tables, `card …` the circuit card of a set
of heads, `prompts …` averages over a set of prompts, `recognize …` what the instruction does over a set, `record …` a
run's activations.

Exit status 0, or 2 with one line on stderr and nothing written.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from core.console import Clock, status
from core.experiment import Experiment, InputError, check
from core.export.results import Results
from core.export.tables import csv_files, describe, to_csv, to_json, write_whole
from core.flags import (
    check_file,
    check_positions,
    check_set_targets,
    check_site,
    check_targets,
    experiment_of,
    models_of,
    pairs_file,
    parser,
    sites_of,
)
from core.models.dtype import is_below, reference_dtype
from core.models.memory import GB
from core.models.pairs import find_pair
from core.patching.card_words import card_description, card_sentence, card_tables
from core.patching.members import read_members
from core.precision import StoredGap
from core.results import MODELS, checks_frame
from core.sets.reading import read_file, shipped_file
from core.settings import Settings, settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from core.models.loading import LoadedPair
    from core.runs import Runs
    from core.sets.command import Where


def _settings() -> Settings:
    try:
        return settings()
    except ValueError as error:
        raise InputError(str(error), "environment") from None


def _run(
    args: argparse.Namespace, experiment: Experiment, environment: Settings, clock: Clock
) -> tuple[LoadedPair, Runs]:
    """The pair and both models' runs, or an `InputError`."""
    from core.runs import run

    pair = _load(args, experiment, environment, clock)
    with clock.stage("record"):
        runs = run(experiment, pair, environment.max_tokens)
    if args.colon and not runs.prompt.colons:
        raise InputError(f"the prompt has no “:”, there is no number {args.colon}; leave --colon out", "colon")
    return pair, runs


def _load(args: argparse.Namespace, experiment: Experiment, environment: Settings, clock: Clock) -> LoadedPair:
    from core.models.loading import fit_threads, load_pair

    with clock.stage("load"):
        spec = find_pair(experiment, pairs_file(environment))
        dtype, device = experiment.dtype or environment.dtype or "", args.device or environment.device
        pair = load_pair(spec, dtype, device, limit=_limit(environment), cache=environment.cache)
        fit_threads(pair, environment.threads)
    return pair


def _limit(environment: Settings) -> int | None:
    return None if environment.memory_gb is None else int(environment.memory_gb * GB)


def _analyze(args: argparse.Namespace) -> str:
    environment, clock = _settings(), Clock()
    experiment = experiment_of(args, environment)
    check(experiment)
    sites = sites_of(args)
    check_targets(args.json, args.csv, report=args.report, notebook=args.notebook)
    # Torch and transformers are loaded only for input that can be analysed.
    pair, runs = _run(args, experiment, environment, clock)
    found = _results(runs, sites, args, clock)
    tables = found.tables()
    stored = _stored_gap(pair, runs, tables, _limit(environment), clock)
    patching = {"sites": sites, "direction": args.direction, "positions": args.positions}
    patching["frozen_patterns"] = args.frozen_patterns
    description = describe(experiment, runs.prompt, pair.manifest, clock.seconds, patching=patching)
    _write(args, description, tables, _to_read(args, pair, found, description))
    base, instruct = found.summary.logit_diff
    return (
        f"logit difference {runs.prompt.answer!r} − {runs.prompt.original!r}: "
        f"BASE {base:+.3f}, INSTRUCT {instruct:+.3f}; {stored}wrote {args.json}"
    )


def _record(args: argparse.Namespace) -> str:
    environment, clock = _settings(), Clock()
    experiment = experiment_of(args, environment)
    check(experiment)
    check_file(args.out, "out")
    pair, runs = _run(args, experiment, environment, clock)
    from core.recording import to_safetensors

    recording = runs.recordings[MODELS.index(args.model)]
    description = describe(experiment, runs.prompt, pair.manifest, clock.seconds, recorded={"model": args.model})
    write_whole({args.out: to_safetensors(recording, description)})
    return f"{len(recording.activations)} activations of {args.model.upper()}; wrote {args.out}"


def _card(args: argparse.Namespace) -> str:
    environment, clock = _settings(), Clock()
    experiment = experiment_of(args, environment)
    check(experiment)
    check_site(args.site, args.positions)
    check_positions(args.positions)
    check_file(args.json, "json")
    pair, runs = _run(args, experiment, environment, clock)
    from core.patching.card import card
    from core.patching.growing_pass import shape_of

    members = read_members(args.heads, args.site, shape_of(runs.recordings[0]))
    with clock.stage("card"):
        found = card(runs.recordings, runs.prompt, members, args.site, args.positions)
    description = describe(experiment, runs.prompt, pair.manifest, clock.seconds) | card_description(found)
    write_whole({args.json: to_json(description, card_tables(found))})
    return f"{card_sentence(found)} Wrote {args.json}"


def _prompts(args: argparse.Namespace) -> str:
    environment, clock = _settings(), Clock()
    models, file = _of_set(args, environment)
    sites, found = tuple(sites_of(args)), read_file(file)
    # Only `--ray` may do without torch in this process.
    from core.sets.command import TABLES, Here, run_and_write

    check_set_targets(args.out, args.report, TABLES)
    with _goes_on(), contextlib.ExitStack() as stack:
        if args.ray is None:
            where: Where = Here(_load(args, models, environment, clock))
        else:
            with clock.stage("load"):
                where = stack.enter_context(_fleet(args, models, environment))
        return run_and_write(args, file, found, where, models, sites, environment.max_tokens, clock)


def _recognize(args: argparse.Namespace) -> str:
    environment, clock = _settings(), Clock()
    models, file = _of_set(args, environment)
    found = read_file(file)
    check_set_targets(args.out, None, ())
    with _goes_on():
        pair = _load(args, models, environment, clock)
        from core.recognize.command import run_and_write

        return run_and_write(args, file, found, pair, models, environment.max_tokens, clock)


def _of_set(args: argparse.Namespace, environment: Settings) -> tuple[Experiment, Path]:
    """The models, and the file of the set: the one that comes with the project where none is named."""
    models = models_of(args, environment)
    check(models)
    return models, args.set or shipped_file(models.pair)


@contextlib.contextmanager
def _goes_on() -> Iterator[None]:
    """An interrupted run over a set is told how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; the set goes on from here with the same command") from None


def _fleet(args: argparse.Namespace, models: Experiment, environment: Settings) -> AbstractContextManager[Where]:
    from core.sets.on_ray import fleet
    from core.sets.ray_actor import Loading

    spec = find_pair(models, pairs_file(environment))
    dtype, device = models.dtype or environment.dtype or "", args.device or environment.device
    return fleet(args.ray, Loading(spec, dtype, device, _limit(environment), environment.cache, environment.threads))


def _stored_gap(pair: LoadedPair, runs: Runs, tables: dict[str, pd.DataFrame], limit: int | None, clock: Clock) -> str:
    """What a dtype below the stored weights' does to the gap: a row of the checks, and a part of the last line."""
    from core.logit_difference import summarize
    from core.models.loading import load_pair
    from core.models.room import bytes_needed
    from core.runs import record_both

    # Packed weights stay packed in every dtype: there is nothing finer to compare with.
    if pair.spec.quantization or not is_below(pair.dtype, pair.stored_dtype):
        return ""
    gap = summarize(runs.recordings, runs.prompt).gap
    measured = StoredGap(pair.dtype, pair.stored_dtype, reference_dtype(pair.stored_dtype), gap)
    left = None if limit is None else limit - bytes_needed(pair.checkpoints, pair.dtype, pair.spec.quantization)
    try:
        with clock.stage("stored gap"):
            fine = load_pair(pair.spec, measured.reference, pair.device, pair.checkpoints, limit=left)
            found = summarize(record_both(runs.prompt, fine), runs.prompt).gap
        measured = replace(measured, stored_gap=found)
    except InputError as error:
        measured = replace(measured, reason=str(error))
    tables["checks"] = pd.concat([tables["checks"], checks_frame(measured.checks)], ignore_index=True)
    return f"{measured.text}; "


def _results(runs: Runs, sites: list[str], args: argparse.Namespace, clock: Clock) -> Results:
    """What every export is made of; the logit lens only where a report shows it."""
    from core.attention import attend
    from core.attribution import attribute
    from core.depth import look_through_depth
    from core.logit_difference import summarize
    from core.patching.sweeps import sweep

    recorded = runs.recordings, runs.prompt
    depth = look_through_depth(*recorded) if args.report else None
    found = Results(runs.prompt, summarize(*recorded), attribute(*recorded), depth, attend(*recorded))
    sweeps = []
    for site in sites:
        with clock.stage(site):
            how = {"frozen_patterns": args.frozen_patterns}
            sweeps.append(sweep(*recorded, site, args.direction, args.positions, **how))
    return replace(found, sweeps=tuple(sweeps), frozen_patterns=args.frozen_patterns)


def _write(
    args: argparse.Namespace,
    description: dict[str, Any],
    tables: dict[str, pd.DataFrame],
    more: Mapping[Path, str],
) -> None:
    files = {args.json: to_json(description, tables), **more}
    if args.csv is None:
        write_whole(files)
        return
    made = not args.csv.exists()
    args.csv.mkdir(exist_ok=True)
    try:
        write_whole(files | {args.csv / f"{name}.csv": to_csv(frame) for name, frame in tables.items()})
    except BaseException:
        if made:
            args.csv.rmdir()
        raise
    # A table of an earlier export would pass for one of this.
    for path in csv_files(args.csv):
        if path.stem not in tables:
            path.unlink(missing_ok=True)


def _to_read(
    args: argparse.Namespace, pair: LoadedPair, found: Results, description: dict[str, Any]
) -> dict[Path, str]:
    """The report and the notebook, where they are asked for."""
    files = {}
    if args.report:
        from core.export.contents import experiment_report

        files[args.report] = experiment_report(found, description)
    if args.notebook:
        from core.export.notebook import notebook_of, sources

        commits = pair.checkpoints[0].revision, pair.checkpoints[1].revision
        models = sources(pair.spec, commits, private=False)
        files[args.notebook] = notebook_of(found, models, pair.dtype, pair.spec.quantization)
    return files


def main(argv: list[str] | None = None) -> int:
    # Third-party warnings would drown the one line that bad input gets.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")

    def run() -> str:
        args = parser().parse_args(argv)
        commands = {"analyze": _analyze, "card": _card, "prompts": _prompts, "recognize": _recognize, "record": _record}
        return commands[args.command](args)

    try:
        return status(run, (InputError, OSError))
    except KeyboardInterrupt as stopped:
        print(str(stopped) or "stopped; nothing was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
