"""Answers carried from one machine to another: `python -m cache export FILE --all`, then `python -m cache import FILE`.

Exit status 0, or 2 with one line on stderr; a file that was asked for is then not written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from cache.bundles import read_bundle, write_bundle
from cache.identity import portable
from cache.store import Store
from core.experiment import InputError
from core.settings import Settings, settings


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
    if not environment.store_file.is_file():
        raise InputError(f"there are no answers in {environment.store_file}", "environment")
    with _store(environment) as store:
        if args.list:
            return "\n".join(f"{count:5} {label}" for label, count in sorted(store.labels().items()))
        _check_other(args.file, store)
        if not (keys := store.keys()):
            raise InputError(f"there are no answers in {store.path}", "environment")
        count = write_bundle((store,), keys, portable(store.facts()), args.file)
    return f"{count} answers, {args.file.stat().st_size / 1e6:.1f} MB: {args.file}"


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
    for stream in (sys.stdout, sys.stderr):
        # Where a terminal has no sign for a character, the line matters more.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        args = _parser().parse_args(argv)
        print({"export": _export, "import": _import}[args.command](args, settings()))
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
