"""The analyses without a screen: `python -m core analyze …` writes the app's tables to JSON and CSV.

Exit status 0, or 2 with one line on stderr and nothing written.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from core.experiment import DEFAULT_INSTRUCTION, DTYPES, TEMPLATES, Experiment, InputError, check
from core.export import TABLES, describe, to_json, write_whole
from core.models.dtype import is_below, reference_dtype
from core.models.memory import GB
from core.models.pairs import default_pair, find_pair
from core.patching.plan import unit
from core.precision import StoredGap
from core.results import Check, checks_frame
from core.settings import Settings, settings


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError(message, "command line")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m core", description="Compare a BASE model with its INSTRUCT fine-tune on one prompt."
    )
    analyze = parser.add_subparsers(dest="command", required=True, parser_class=_Parser).add_parser(
        "analyze", help="run both models and write logit difference, attribution, attention and patching tables"
    )
    models = analyze.add_argument_group("models: a listed pair, or two models")
    models.add_argument("--pair", metavar="ID", help="id of a listed pair (default: REPHRASE_PAIR, else the app's)")
    models.add_argument("--base", metavar="PATH", help="hub name, folder or GGUF file of the BASE model")
    models.add_argument("--instruct", metavar="PATH", help="likewise INSTRUCT, or a LoRA adapter for BASE")
    prompt = analyze.add_argument_group("prompt: instruction and sentence, or a free prompt with exact strings")
    prompt.add_argument("--instruction", metavar="TEXT", help=f"default: {DEFAULT_INSTRUCTION!r}")
    prompt.add_argument("--sentence", metavar="TEXT")
    prompt.add_argument("--prompt", metavar="TEXT", help="free prompt; --original and --answer are then exact strings")
    prompt.add_argument("--original", metavar="WORD", required=True, help="the word to be replaced")
    prompt.add_argument("--answer", metavar="WORD", help="its replacement (default: INSTRUCT's own suggestion)")
    prompt.add_argument("--occurrence", metavar="N", type=int, default=0, help="which occurrence of WORD, from 1")
    prompt.add_argument("--colon", metavar="N", type=int, default=0, help="which colon has the role colon, from 0")
    prompt.add_argument("--token", metavar="N", type=int, help="position of a token to follow as the role picked")
    prompt.add_argument(
        "--template", choices=TEMPLATES, default="raw", help="raw text (default), or INSTRUCT's chat template around it"
    )
    patching = analyze.add_argument_group("patching")
    patching.add_argument("--sweeps", metavar="SITES", default="", help="sites to sweep, for example z,v")
    patching.add_argument("--direction", choices=("instruct_to_base", "base_to_instruct"), default="instruct_to_base")
    patching.add_argument("--positions", metavar="all|end|N", default="all")
    analyze.add_argument(
        "--dtype", choices=DTYPES, default="", help="default: the pair's own, or on a CPU float32 where it fits"
    )
    analyze.add_argument("--device", default="", help="auto, cpu, cuda, cuda:N or mps (default: REPHRASE_DEVICE)")
    analyze.add_argument("--json", metavar="FILE", type=Path, required=True)
    analyze.add_argument(
        "--csv", metavar="DIR", type=Path, help="also write each table as DIR/<table>.csv, in place of an earlier run's"
    )
    return parser


def _experiment(args: argparse.Namespace, environment: Settings) -> Experiment:
    if empty := [name for name in ("pair", "base", "instruct") if getattr(args, name) == ""]:
        raise InputError(f"--{empty[0]} is empty; name a model, or leave it out", "pair")
    if args.pair and (args.base or args.instruct):
        raise InputError("give --pair, or --base and --instruct, not both", "pair")
    if args.prompt is not None:
        if args.sentence is not None or args.instruction is not None:
            raise InputError("give --prompt, or --instruction and --sentence, not both", "prompt")
        if not args.prompt.strip():
            raise InputError("the prompt is empty; type the exact text that both models shall continue", "prompt")
    elif args.sentence is None:
        raise InputError("give --sentence TEXT (or a free --prompt TEXT)", "sentence")
    if args.answer is not None and not (args.answer if args.prompt is not None else args.answer.strip()):
        raise InputError("the answer is empty; leave --answer out to take INSTRUCT's suggestion", "answer")
    own = args.base or args.instruct
    return Experiment(
        pair="" if own else args.pair or default_pair(environment.pair, _pairs_file(environment)),
        base=args.base or "",
        instruct=args.instruct or "",
        instruction=DEFAULT_INSTRUCTION if args.instruction is None else args.instruction,
        sentence=args.sentence or "",
        original=args.original,
        answer=args.answer or "",
        occurrence=args.occurrence,
        prompt=args.prompt or "",
        colon=args.colon,
        picked=args.token,
        dtype=args.dtype,
        template=args.template,
    )


def _settings() -> Settings:
    try:
        return settings()
    except ValueError as error:
        raise InputError(str(error), "environment") from None


def _pairs_file(environment: Settings) -> str:
    return str(environment.pairs or "")


def _check_targets(args: argparse.Namespace) -> None:
    for path in filter(None, (args.json.parent, args.csv and args.csv.parent)):
        if not path.is_dir():
            raise InputError(f"there is no folder {str(path)!r} to write to", "json")
    if args.csv and args.json.resolve() in {args.csv.resolve(), *(path.resolve() for path in _csv_files(args.csv))}:
        raise InputError(f"--json and --csv both name {str(args.json)!r}; give them different places", "json")
    if args.json.is_dir():
        raise InputError(f"{str(args.json)!r} is a folder; --json takes a file", "json")
    if args.csv and args.csv.exists() and not args.csv.is_dir():
        raise InputError(f"{str(args.csv)!r} is a file; --csv takes a folder", "csv")


def _csv_files(folder: Path) -> list[Path]:
    return [folder / f"{name}.csv" for name in TABLES]


@dataclass
class _Clock:
    """Wall-clock seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _sites(args: argparse.Namespace) -> list[str]:
    sites = [site.strip() for site in args.sweeps.split(",") if site.strip()]
    for site in sites:
        unit(site)
    if args.positions not in ("all", "end") and not args.positions.isdecimal():
        raise InputError(f"the position {args.positions!r} is unknown; choose all, end or a number", "positions")
    return list(dict.fromkeys(sites))


def _analyze(args: argparse.Namespace) -> str:
    environment = _settings()
    experiment = _experiment(args, environment)
    check(experiment)
    sites = _sites(args)
    _check_targets(args)
    # Torch and transformers are loaded only for input that can be analysed.
    from core.models.loading import fit_threads, load_pair
    from core.runs import run

    clock = _Clock()
    with clock.stage("load"):
        spec = find_pair(experiment, _pairs_file(environment))
        dtype, device = experiment.dtype or environment.dtype or "", args.device or environment.device
        limit = None if environment.memory_gb is None else int(environment.memory_gb * GB)
        pair = load_pair(spec, dtype, device, limit=limit, cache=environment.cache)
        fit_threads(pair, environment.threads)
    with clock.stage("record"):
        runs = run(experiment, pair, environment.max_tokens)
    if args.colon and not runs.prompt.colons:
        raise InputError(f"the prompt has no “:”, there is no number {args.colon}; leave --colon out", "colon")
    tables = _tables(runs, sites, args, clock)
    stored = _stored_gap(pair, runs, tables, limit, clock)
    patching = {"sites": sites, "direction": args.direction, "positions": args.positions}
    _write(args, describe(experiment, runs.prompt, pair.manifest, clock.seconds, patching), tables)
    base, instruct = tables["summary"]["logit_diff"]
    return (
        f"logit difference {runs.prompt.answer!r} − {runs.prompt.original!r}: "
        f"BASE {base:+.3f}, INSTRUCT {instruct:+.3f}; {stored}wrote {args.json}"
    )


def _stored_gap(pair, runs, tables: dict[str, pd.DataFrame], limit: int | None, clock: _Clock) -> str:
    """What a dtype below the stored weights' does to the gap: a row of the checks, and a part of the last line."""
    from core.logit_difference import summarize
    from core.models.loading import bytes_needed, load_pair
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


def _tables(runs, sites: list[str], args: argparse.Namespace, clock: _Clock) -> dict[str, pd.DataFrame]:
    """Every table of the export, in its order; `patching` only where a site is swept."""
    from core.attention import attend
    from core.attribution import attribute
    from core.logit_difference import summarize
    from core.patching.sweeps import sweep

    attribution, attention = attribute(runs.recordings, runs.prompt), attend(runs.recordings, runs.prompt)
    tables = {
        "summary": summarize(runs.recordings, runs.prompt).to_frame(),
        "attribution": attribution.to_frame(),
        "attention": attention.to_frame(),
    }
    sweeps, floors = [], []
    for site in sites:
        with clock.stage(site):
            result = sweep(runs.recordings, runs.prompt, site, args.direction, args.positions)
        sweeps.append(result.to_frame())
        floors.append(Check(f"{site}: effect of the no-op patch", result.gap.no_op, float("inf")))
        floors += [
            Check(f"{site}: noise floor, {name}", value, float("inf")) for name, value in result.gap.floor.spans()
        ]
    if sweeps:
        tables["patching"] = pd.concat(sweeps, ignore_index=True)
    tables["checks"] = checks_frame((*attribution.checks, *attention.checks, *floors))
    return tables


def _write(args: argparse.Namespace, description: dict, tables: dict[str, pd.DataFrame]) -> None:
    files = {args.json: to_json(description, tables)}
    if args.csv is None:
        write_whole(files)
        return
    made = not args.csv.exists()
    args.csv.mkdir(exist_ok=True)
    try:
        write_whole(files | {args.csv / f"{name}.csv": frame.to_csv(index=False) for name, frame in tables.items()})
    except BaseException:
        if made:
            args.csv.rmdir()
        raise
    # A table of an earlier export would pass for one of this.
    for path in _csv_files(args.csv):
        if path.stem not in tables:
            path.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> int:
    # Third-party warnings would drown the one line that bad input gets.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    for stream in (sys.stdout, sys.stderr):
        # Where a terminal has no sign for a character, the line matters more.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        print(_analyze(_parser().parse_args(argv)))
    except (InputError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
