"""Bundles: some answers of a store in a file of their own, to be carried to another machine.

A bundle is a store's file that is finished: no log beside it, opened read-only by whoever has it. What comes from
elsewhere is taken row by row, and only rows whose checksum and format are right.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cache.answer_file import AnswerFile
from cache.labels import read_label
from cache.store import Store

ENDLESS = 2**62  # bytes: what goes into a bundle is chosen, not bounded
AT_ONCE = 100  # answers in memory, and in one transaction, for which others wait
KEY = re.compile("[0-9a-f]{64}")


class NotABundle(ValueError):
    """A file that cannot be read as a bundle."""


class Imported(NamedTuple):
    """taken: answers that are now in the store; refused: damaged, or of another format; no_room: beyond its bound."""

    taken: int
    refused: int
    no_room: int


def write_bundle(places: Iterable[Store], keys: Iterable[str], facts: Mapping[str, str], path: Path) -> int:
    """Write the answers under these keys, each from the first place that has it; how many there were.

    A label names a folder or a file of somebody's own by its last part alone.
    The file is there as a whole in the end, in place of an earlier one, or not at all. Raises OSError.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".rephrase-") as folder:
        made = Store(Path(folder) / "bundle.sqlite", ENDLESS)
        count = len(_copy(keys, tuple(places), made, _portable))
        for name, value in facts.items():
            made.remember(name, value)
        trouble = made.stats().trouble
        made.close()
        if trouble:
            raise OSError(trouble)
        _finish(made.path)
        os.replace(made.path, path)
    return count


def read_bundle(path: Path, store: Store) -> Imported:
    """Take over a bundle's answers, and the facts that the store does not know better. Raises NotABundle, OSError."""
    try:
        # Before a store opens it, which would only log what is wrong.
        with closing(AnswerFile(path, read_only=True)) as file, file.connection():
            pass
    except (sqlite3.Error, OSError) as error:
        raise NotABundle(f"{path} is no bundle of answers: {error}") from None
    bundle = Store(path, 0, read_only=True)
    held = bundle.stats()
    if held.trouble:
        raise NotABundle(f"{path} is no bundle of answers")
    taken = _copy(filter(KEY.fullmatch, bundle.keys()), (bundle,), store)
    known = store.facts()
    for name, value in bundle.facts().items():
        if name not in known:
            store.remember(name, value)
    bundle.close()
    kept = len(set(taken) & set(store.keys()))
    if kept < len(taken) and (trouble := store.stats().trouble):
        raise OSError(trouble)
    return Imported(kept, held.entries - len(taken), len(taken) - kept)


def _copy(keys: Iterable[str], places: tuple[Store, ...], into: Store, label: Callable[[str], str] = str) -> list[str]:
    """The keys that were found. label: what becomes of one."""
    copied, waiting = [], iter(keys)
    while some := tuple(islice(waiting, AT_ONCE)):
        found = {key: next((answer for place in places if (answer := place.get(key))), None) for key in some}
        answers = [(key, replace(answer, label=label(answer.label))) for key, answer in found.items() if answer]
        into.put_all(answers)
        copied += [key for key, _ in answers]
    return copied


def _portable(text: str) -> str:
    label = read_label(text)
    return str(label.portable) if label else text


def _finish(path: Path) -> None:
    """One file without a log, as small as it can be."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        db.execute("PRAGMA page_size = 512")  # an answer leaves half of its last page empty
        db.execute("VACUUM")
