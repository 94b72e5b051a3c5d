"""Results as tidy tables in one JSON object and one CSV a table, written whole or not at all.

Absent numbers are null, never NaN. The app's downloads and the command line write the same columns.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from core.experiment import Experiment
from core.prompt import AnsweredPrompt
from core.wording import neighbours

TABLES = ("summary", "attribution", "attention", "patching", "checks")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell begins with that a spreadsheet takes for a formula


def csv_files(folder: Path) -> list[Path]:
    """Every table's file in a folder."""
    return [folder / f"{name}.csv" for name in TABLES]


def describe(
    experiment: Experiment,
    prompt: AnsweredPrompt,
    models: Mapping[str, Any],
    seconds: Mapping[str, float],
    **details: Mapping[str, object],
) -> dict[str, Any]:
    """An export's `experiment` and `manifest`; details: what else the manifest holds."""
    roles = {
        role: None if position is None else {"position": position, "context": neighbours(prompt.tokens, position)}
        for role, position in prompt.roles.items()
    }
    manifest = {
        **models,
        "prompt": prompt.text,
        "token_ids": list(prompt.ids),
        "tokens": list(prompt.tokens),
        "roles": roles,
        "answer": {"token": prompt.answer, "id": prompt.answer_id},
        "original": {"token": prompt.original, "id": prompt.original_id},
        **details,
        "seconds": {stage: round(value, 6) for stage, value in seconds.items()},
    }
    return {"experiment": asdict(experiment), "manifest": manifest}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as JSON-ready objects."""
    return [{name: _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_csv(frame: pd.DataFrame) -> str:
    """A table as CSV, with an apostrophe before every text that a spreadsheet would take for a formula."""
    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    return str(frame.assign(**{name: frame[name].map(_as_text) for name in texts}).to_csv(index=False))


def _as_text(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # Pandas puts no quotes around a carriage return, which would begin a new row.
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if cell.startswith(FORMULA) else text


def to_json(description: Mapping[str, object], tables: Mapping[str, pd.DataFrame]) -> str:
    """One JSON object: experiment, manifest and every table as a list of row objects."""
    return json.dumps(
        {**description, **{name: records(frame) for name, frame in tables.items()}}, ensure_ascii=False, allow_nan=False
    )


def write_whole(files: Mapping[Path, str | bytes]) -> None:
    """Write all files or none; a reader of one sees the old one or the whole new one. Links are followed."""
    places = {path.resolve(): content for path, content in files.items()}
    # A pipe or a device is written to, never replaced.
    replaced = [path for path in places if path.is_file() or not path.exists()]
    staged, kept = {}, {}
    try:
        for path in replaced:
            staged[path] = _stage(path, places[path])
            if path.exists():
                kept[path] = _stage(path, path.read_bytes())
                shutil.copystat(path, kept[path])
        with _undone(kept) as done:
            for path, temporary in staged.items():
                os.replace(temporary, path)
                done.append(path)
            for path in places.keys() - staged.keys():
                path.write_bytes(_bytes(places[path]))
    finally:
        for temporary in (*staged.values(), *kept.values()):
            Path(temporary).unlink(missing_ok=True)


@contextmanager
def _undone(kept: Mapping[Path, str]) -> Iterator[list[Path]]:
    """Where the block fails, each file that it put on the list is again what it was, or gone where it is not `kept`."""
    done: list[Path] = []
    try:
        yield done
    except BaseException:
        for path in done:
            if path in kept:
                os.replace(kept[path], path)
            else:
                path.unlink(missing_ok=True)
        raise


def _stage(path: Path, content: str | bytes) -> str:
    """A temporary file beside `path` that holds the content."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".rephrase-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_bytes(content))
        # mkstemp makes private files; an export gets what any new file gets.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return temporary


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
