"""What a table that leaves the app is of: said in columns of its own, and in the name of its file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

import pandas as pd

LONGEST = 40  # characters of a prompt in the name of a file
_NO_WORD = re.compile(r"[^\w]+")


def labelled(table: pd.DataFrame, labels: Mapping[str, object]) -> pd.DataFrame:
    """The table with a column for each label behind its own; a column that it has keeps its meaning.

    Strings are exact, so the answer is the token with its space, and the prompt has its line breaks.
    """
    return table.assign(**{name: value for name, value in labels.items() if name not in table})


def file_name(key: str, labels: Mapping[str, object], text: str = "", suffix: str = "") -> str:
    """`patching_tiny_the-quick-fox-3fa2_swift_z_L2H6.csv`: what it shows, then what it is of, as far as it is of that.

    text: the prompt as a person would name it; four digits tell apart prompts of which the name shows the same.
    """
    prompt = str(labels.get("prompt", ""))
    parts = [key, labels.get("pair", ""), _prompt(text or prompt, prompt) if prompt else "", labels.get("answer", "")]
    held = "frozen-patterns" if labels.get("frozen_patterns") else ""
    return "_".join(_slugs([*parts, labels.get("site", ""), held, _head(labels)])) + suffix


def _head(labels: Mapping[str, object]) -> str:
    return f"L{labels['layer']}H{labels['head']}" if {"layer", "head"} <= labels.keys() else ""


def _prompt(text: str, prompt: str) -> str:
    return f"{_slug(text)[:LONGEST].strip('-')}-{hashlib.sha256(prompt.encode()).hexdigest()[:4]}"


def _slugs(parts: Iterable[object]) -> list[str]:
    return [slug for part in parts if (slug := _slug(str(part))[: LONGEST + 5].strip("-"))]


def _slug(text: str) -> str:
    """Letters and digits of any script, all else one hyphen, as every file system takes it; `_` stays."""
    return _NO_WORD.sub("-", text).strip("-")
