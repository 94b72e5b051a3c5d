"""What the command line takes: its flags, the experiment that they spell, and where the results go.

Everything that can be refused before a model is looked for is refused here, as an `InputError`.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from core.experiment import DEFAULT_INSTRUCTION, DTYPES, TEMPLATES, Experiment, InputError
from core.export.tables import csv_files
from core.models.pairs import default_pair
from core.patching.plan import DIRECTIONS, WEIGHT_SITES, unit
from core.recognize.results import TASKS
from core.results import MODELS
from core.settings import Settings


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message, "command line")


def parser() -> argparse.ArgumentParser:
    """The commands with their flags; bad ones raise `InputError`."""
    whole = _Parser(
        prog="python -m core", description="Compare a BASE model with its INSTRUCT fine-tune on one prompt."
    )
    commands = whole.add_subparsers(dest="command", required=True, parser_class=_Parser)
    analyze = commands.add_parser(
        "analyze", help="run both models and write logit difference, attribution, attention and patching tables"
    )
    _add_experiment(analyze)
    patching = _add_patching(analyze)
    patching.add_argument("--positions", metavar="all|end|N", default="all")
    patching.add_argument(
        "--frozen-patterns", action="store_true", help="hold every later attention pattern at the recipient's"
    )
    analyze.add_argument("--json", metavar="FILE", type=Path, required=True)
    analyze.add_argument(
        "--csv", metavar="DIR", type=Path, help="also write each table as DIR/<table>.csv, in place of an earlier run's"
    )
    analyze.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="also write figures and tables as one HTML file, to be read anywhere",
    )
    analyze.add_argument(
        "--notebook", metavar="FILE", type=Path, help="also write a notebook that computes the headline numbers again"
    )
    card = commands.add_parser("card", help="write the circuit card of a set of heads")
    _add_experiment(card)
    of_set = card.add_argument_group("the set")
    of_set.add_argument("--heads", metavar="NAMES", required=True, help="for example L20H5,L16H7, or KV groups, L20KV1")
    of_set.add_argument("--site", default="z", help="what of them is patched, for example z, v or w_head (default: z)")
    of_set.add_argument("--positions", metavar="all|end|N", default="all")
    card.add_argument("--json", metavar="FILE", type=Path, required=True)
    _add_prompts(commands.add_parser("prompts", help="run both models over a set of prompts and write averages"))
    _add_recognize(commands.add_parser("recognize", help="run a set under several instructions and write what differs"))
    record = commands.add_parser("record", help="write one model's activations on the prompt, by their hook names")
    _add_experiment(record)
    record.add_argument("--model", choices=MODELS, required=True, help="whose run is written")
    record.add_argument("--out", metavar="FILE", type=Path, required=True, help="a .safetensors file")
    return whole


def _add_patching(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    patching = command.add_argument_group("patching")
    patching.add_argument("--sweeps", metavar="SITES", default="", help="sites to sweep, for example z,v,w_head")
    patching.add_argument("--direction", choices=DIRECTIONS, default=DIRECTIONS[0])
    return patching


def _add_set(command: argparse.ArgumentParser) -> None:
    _add_models(command)
    command.add_argument(
        "--set",
        metavar="FILE",
        type=Path,
        help="CSV of prompts (default: the set that comes with the app)",
    )
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="where tables go; a run goes on there")


def _add_recognize(command: argparse.ArgumentParser) -> None:
    _add_set(command)
    command.add_argument(
        "--counter",
        choices=TASKS,
        help="also patch every head between the instruction and one of equal length that says this",
    )


def _add_prompts(command: argparse.ArgumentParser) -> None:
    _add_set(command)
    _add_patching(command).add_argument("--positions", choices=("all", "end"), default="all")
    command.add_argument(
        "--report", metavar="FILE", type=Path, help="also write the averages as one HTML file, to be read anywhere"
    )
    command.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster: HOST:PORT or auto joins one, local starts one on this machine",
    )


def _add_models(command: argparse.ArgumentParser) -> None:
    models = command.add_argument_group("models: a listed pair, or two models")
    models.add_argument("--pair", metavar="ID", help="id of a listed pair (default: REPHRASE_PAIR, else the app's)")
    models.add_argument("--base", metavar="PATH", help="hub name, folder or GGUF file of the BASE model")
    models.add_argument("--instruct", metavar="PATH", help="likewise INSTRUCT, or a LoRA adapter for BASE")
    command.add_argument(
        "--template", choices=TEMPLATES, default="raw", help="raw text (default), or INSTRUCT's chat template around it"
    )
    command.add_argument(
        "--dtype", choices=DTYPES, default="", help="default: the pair's own, or on a CPU float32 where it fits"
    )
    command.add_argument("--device", default="", help="auto, cpu, cuda, cuda:N or mps (default: REPHRASE_DEVICE)")


def _add_experiment(command: argparse.ArgumentParser) -> None:
    _add_models(command)
    prompt = command.add_argument_group("prompt: instruction and sentence, or a free prompt with exact strings")
    prompt.add_argument("--instruction", metavar="TEXT", help=f"default: {DEFAULT_INSTRUCTION!r}")
    prompt.add_argument("--sentence", metavar="TEXT")
    prompt.add_argument("--prompt", metavar="TEXT", help="free prompt; --original and --answer are then exact strings")
    prompt.add_argument("--original", metavar="WORD", required=True, help="the word to be replaced")
    prompt.add_argument("--answer", metavar="WORD", help="its replacement (default: INSTRUCT's own suggestion)")
    prompt.add_argument("--occurrence", metavar="N", type=int, default=0, help="which occurrence of WORD, from 1")
    prompt.add_argument("--colon", metavar="N", type=int, default=0, help="which colon has the role colon, from 0")
    prompt.add_argument("--token", metavar="N", type=int, help="position of a token to follow as the role picked")


def models_of(args: argparse.Namespace, environment: Settings) -> Experiment:
    """What the flags of every command spell: models, dtype, template. The prompt is the default one."""
    if empty := [name for name in ("pair", "base", "instruct") if getattr(args, name) == ""]:
        raise InputError(f"--{empty[0]} is empty; name a model, or leave it out", "pair")
    if args.pair and (args.base or args.instruct):
        raise InputError("give --pair, or --base and --instruct, not both", "pair")
    own = args.base or args.instruct
    return Experiment(
        pair="" if own else args.pair or default_pair(environment.pair, pairs_file(environment)),
        base=args.base or "",
        instruct=args.instruct or "",
        dtype=args.dtype,
        template=args.template,
    )


def experiment_of(args: argparse.Namespace, environment: Settings) -> Experiment:
    """The experiment that the flags of a command spell."""
    models = models_of(args, environment)
    if args.prompt is not None:
        if args.sentence is not None or args.instruction is not None:
            raise InputError("give --prompt, or --instruction and --sentence, not both", "prompt")
        if not args.prompt.strip():
            raise InputError("the prompt is empty; type the exact text that both models shall continue", "prompt")
    elif args.sentence is None:
        raise InputError("give --sentence TEXT (or a free --prompt TEXT)", "sentence")
    if args.answer is not None and not (args.answer if args.prompt is not None else args.answer.strip()):
        raise InputError("the answer is empty; leave --answer out to take INSTRUCT's suggestion", "answer")
    return replace(
        models,
        instruction=DEFAULT_INSTRUCTION if args.instruction is None else args.instruction,
        sentence=args.sentence or "",
        original=args.original,
        answer=args.answer or "",
        occurrence=args.occurrence,
        prompt=args.prompt or "",
        colon=args.colon,
        picked=args.token,
    )


def sites_of(args: argparse.Namespace) -> list[str]:
    """The sites to sweep, each once."""
    sites = [site.strip() for site in args.sweeps.split(",") if site.strip()]
    for site in sites:
        check_site(site, args.positions)
    check_positions(args.positions)
    return list(dict.fromkeys(sites))


def check_site(site: str, positions: str) -> None:
    """Refuse a site that is unknown, or that these positions are not for."""
    unit(site)
    if site in WEIGHT_SITES and positions != "all":
        raise InputError(f"{site} is a weight, which acts at all positions; leave --positions out", "positions")


def check_positions(positions: str) -> None:
    if positions not in ("all", "end") and not positions.isdecimal():
        raise InputError(f"the position {positions!r} is unknown; choose all, end or a number", "positions")


def pairs_file(environment: Settings) -> str:
    return str(environment.pairs or "")


def check_file(path: Path, flag: str) -> None:
    """Refuse a place where no file can be written."""
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r} to write to", flag)
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; --{flag} takes a file", flag)


def check_targets(json: Path, csv: Path | None, **more: Path | None) -> None:
    """Refuse places where the results cannot be written, or would overwrite each other; more: flag → its file."""
    files = {"json": json, **{flag: file for flag, file in more.items() if file is not None}}
    taken = {path.resolve(): "csv" for path in (csv, *csv_files(csv))} if csv else {}
    for flag, file in files.items():
        if other := taken.get(file.resolve()):
            raise InputError(f"--{flag} and --{other} both name {str(file)!r}; give them different places", flag)
        taken[file.resolve()] = flag
        check_file(file, flag)
    if csv:
        check_folder(csv, "csv")


def check_folder(path: Path, flag: str) -> None:
    """Refuse a place where no folder is or can be made."""
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r} to write to", flag)
    if path.exists() and not path.is_dir():
        raise InputError(f"{str(path)!r} is a file; --{flag} takes a folder", flag)


def check_set_targets(out: Path, report: Path | None, tables: Collection[str]) -> None:
    """Refuse places where what is made of a set cannot be written; tables: those of the folder `out`."""
    check_folder(out, "out")
    if report is None:
        return
    if report.resolve().parent != out.resolve():
        check_file(report, "report")
    elif report.is_dir() or report.name in {*(f"{name}.csv" for name in tables), "manifest.json"}:
        raise InputError(f"--report and --out both name {str(report)!r}; give them different places", "report")
