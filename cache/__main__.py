"""Answers carried from one machine to another: `python -m cache export FILE …`, then `python -m cache import FILE`.

Exit status 0, or 2 with one line on stderr; a file that was asked for is then not written.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from cache.bundles import read_bundle, write_bundle
from cache.identity import portable
from cache.labels import Label, read_label
from cache.presets import Preset, presets
from cache.store import Store
from core.console import status
from core.experiment import Experiment, InputError
from core.settings import Settings, settings

PRESETS = presets("")  # their prompts; an export asks for these on whatever models


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message, "command line")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m cache", description="Carry answers kept on disk to another machine, as one file.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    export = commands.add_parser("export", help="write answers of this machine into a bundle")
    export.add_argument("file", metavar="FILE", type=Path, nargs="?", help="the bundle; REPHRASE_GALLERY opens it")
    chosen = export.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--all", action="store_true", help="every answer that is kept")
    chosen.add_argument(
        "--preset",
        metavar="NAME",
        action="append",
        help="answers to a prompt of the gallery, on any models; repeatable",
    )
    chosen.add_argument("--list", action="store_true", help="write nothing: say what there is")
    commands.add_parser("import", help="take over a bundle's answers").add_argument("file", metavar="FILE", type=Path)
    return parser


@contextmanager
def _store(environment: Settings) -> Iterator[Store]:
    if not environment.store_bytes:
        raise InputError("REPHRASE_STORE_MB is 0: no answers are kept on this machine", "environment")
    store = Store(environment.store_file, environment.store_bytes)
    try:
        yield store
    finally:
        store.close()


def _check_other(file: Path, store: Store) -> None:
    if file.resolve() == store.path.resolve():
        raise InputError(f"{file} is where this machine keeps its answers; name another file", "file")


def _export(args: argparse.Namespace, environment: Settings) -> str:
    if not args.list and args.file is None:
        raise InputError("name the FILE to write", "file")
    if not args.list and not args.file.parent.is_dir():
        raise InputError(f"there is no folder {str(args.file.parent)!r} to write to", "file")
    wanted = [_preset(name) for name in args.preset or ()]
    if not environment.store_file.is_file():
        where = environment.store_file
        raise InputError(f"there are no answers in {where}: the app keeps them, once it is asked", "environment")
    with _store(environment) as store:
        labels = {key: read_label(text) for key, text in store.labels().items()}
        if args.list:
            return _listed(list(labels.values()))
        _check_other(args.file, store)
        keys = list(labels) if args.all else _chosen(labels, [preset.experiment for preset in wanted])
        if not keys:
            raise InputError(f"there are no such answers in {store.path}; ask for them in the app first", "environment")
        count = write_bundle((store,), keys, portable(store.facts()), args.file)
    return f"{count} answers, {args.file.stat().st_size / 1e6:.1f} MB: {args.file}"


def _preset(name: str) -> Preset:
    titled = {preset.title.casefold(): preset for preset in PRESETS}
    if name.casefold() not in titled:
        titles = "; ".join(preset.title for preset in PRESETS)
        raise InputError(f"no preset is named {name!r}; there are: {titles}", "preset")
    return titled[name.casefold()]


def _chosen(labels: Mapping[str, Label | None], experiments: list[Experiment]) -> list[str]:
    """The answers to these prompts, and what depends on the models alone beside them; none where no prompt has any."""
    found = {key: label for key, label in labels.items() if label and any(map(label.is_about, experiments))}
    return list(found) if any(label.of_prompt for label in found.values()) else []


def _listed(labels: list[Label | None]) -> str:
    """How many answers there are to each preset's prompt, then to each prompt on each pair of models."""
    known = [label for label in labels if label]
    of_presets = [
        (f"--preset {preset.title!r}", sum(label.of_prompt and label.is_about(preset.experiment) for label in known))
        for preset in PRESETS
    ]
    by_prompt = Counter(label.about if label else "without a label" for label in labels)
    return "\n".join(f"{count:6} {name}" for name, count in [*of_presets, *sorted(by_prompt.items())])


def _import(args: argparse.Namespace, environment: Settings) -> str:
    if not args.file.is_file():
        raise InputError(f"there is no file {args.file}", "file")
    with _store(environment) as store:
        _check_other(args.file, store)
        found = read_bundle(args.file, store)
    line = f"{found.taken} answers taken over"
    if found.refused:
        line += f", {found.refused} refused: damaged or of another version"
    if found.no_room:
        line += f", {found.no_room} left out: REPHRASE_STORE_MB holds no more"
    return line


def main(argv: list[str] | None = None) -> int:
    def run() -> str:
        args = _parser().parse_args(argv)
        return {"export": _export, "import": _import}[args.command](args, settings())

    return status(run, (ValueError, OSError))


if __name__ == "__main__":
    sys.exit(main())
