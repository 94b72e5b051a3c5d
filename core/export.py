"""Results as tidy tables in one JSON object and one CSV a table, written whole or not at all.

Absent numbers are null, never NaN. The app's downloads and the command line write the same columns.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from core.experiment import Experiment
from core.prompt import Prompt, neighbours

TABLES = ("summary", "attribution", "attention", "patching", "checks")


def describe(
    experiment: Experiment, prompt: Prompt, models: Mapping, seconds: Mapping[str, float], patching: Mapping
) -> dict:
    """The parts of the JSON object that are not tables: `experiment` and `manifest`; patching: what was swept, how."""
    roles = {
        role: None if position is None else {"position": position, "context": neighbours(prompt, position)}
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
        "patching": dict(patching),
        "seconds": {stage: round(value, 6) for stage, value in seconds.items()},
    }
    return {"experiment": asdict(experiment), "manifest": manifest}


def records(frame: pd.DataFrame) -> list[dict]:
    """A table's rows as JSON-ready objects."""
    return [{name: _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value):
    if value is None or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(description: Mapping, tables: Mapping[str, pd.DataFrame]) -> str:
    """One JSON object: experiment, manifest and every table as a list of row objects."""
    return json.dumps(
        {**description, **{name: records(frame) for name, frame in tables.items()}}, ensure_ascii=False, allow_nan=False
    )


def write_whole(files: Mapping[Path, str]) -> None:
    """Write all files or none; a reader of one sees the old one or the whole new one. Links are followed."""
    staged: dict[Path, str] = {}
    try:
        for path, text in files.items():
            path = path.resolve()
            # A pipe or a device is written to, never replaced.
            if path.is_file() or not path.exists():
                staged[path] = _stage(path, text)
        for path, temporary in staged.items():
            os.replace(temporary, path)
        for path, text in files.items():
            if path.resolve() not in staged:
                path.write_text(text, encoding="utf-8")
    finally:
        for temporary in staged.values():
            Path(temporary).unlink(missing_ok=True)


def _stage(path: Path, text: str) -> str:
    """A temporary file beside `path` that holds the text."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".rephrase-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes private files; an export gets what any new file gets.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return temporary
