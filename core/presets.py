"""Prompts to choose by one key: those that come with the project, and a speaker's own from a file or an address.

A preset is a title and what differs from the default experiment. It leaves the pair on screen where it names none, and
the word to INSTRUCT where it gives a sentence and no original.

A file is TOML: `[[preset]]` entries of a title and of the address's own parameters (instruction, sentence, original,
answer, prompt, template, pair, …). In an address the presets are parted by `|`, each a sentence or the parameters of a
copied link.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from core.choice import first_content_word
from core.experiment import Experiment, InputError, check, choose_word, prompt_text, shorten
from core.models.pairs import registry

Changes = Mapping[str, Any]
Presets = dict[str, Changes]  # title → what differs from the default experiment

_TWO_ADJECTIVES = {"sentence": "The big dog sleeps in the old house."}
SHIPPED: Presets = {
    "Rephrase, the post's prompt": {},
    "Rephrase, another sentence": {**_TWO_ADJECTIVES, "original": "big"},
    "Rephrase, a second adjective": {**_TWO_ADJECTIVES, "original": "old"},
    "Rephrase, other words for the task": {
        "instruction": "Replace each adjective in the following sentence with another word"
    },
    "Rephrase, a chosen answer": {"answer": "fast"},
    "Verbs in place of adjectives": {"instruction": "Rephrase all the verbs of the following sentence"},
    "Repeat": {"instruction": "Repeat the following sentence"},
    "The opposite": {"instruction": "Reverse all the adjectives of the following sentence"},
    "Remove": {"instruction": "Remove all the adjectives of the following sentence"},
}
MOST = 50  # presets of one file or address
_NUMBERS = ("occurrence", "colon", "picked")


def of_file(path: Path, pairs: str = "") -> Presets:
    """The presets of a file, or an `InputError` of one line that names the file and the entry.

    pairs: the path of a file of the user's own pairs, which a preset may name too.
    """
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the presets file {str(path)!r} cannot be read: {error}", "presets") from None
    entries = read.get("preset")
    if set(read) != {"preset"} or not isinstance(entries, list) or not entries:
        raise InputError(f"the presets file {str(path)!r} holds no presets; write [[preset]] entries", "presets")
    found = _presets(entries, str(path))
    for title, changes in found.items():
        if (pair := changes.get("pair", "")) and pair not in (known := registry(pairs)):
            raise InputError(f"preset {title!r} in {path}: no pair {pair!r}; there are {', '.join(known)}", "presets")
    return found


def of_address(text: str) -> Presets:
    """The presets that an address spells, or an `InputError`; none where it spells none."""
    parts = [part for part in text.split("|") if part.strip()]
    return _presets([dict(parse_qsl(part)) if "=" in part else {"sentence": part} for part in parts], "the address")


def _presets(entries: Iterable[object], where: str) -> Presets:
    found: Presets = {}
    for number, entry in enumerate(entries, 1):
        named = f"preset {number} in {where}"
        if not isinstance(entry, Mapping):
            raise InputError(f"{named}: {shorten(repr(entry))} is no table; write [[preset]] and its keys", "presets")
        changes = _changes(entry, named)
        title = str(entry.get("title") or changes.get("sentence") or changes.get("prompt") or f"Preset {number}")
        if title in found or number > MOST:
            why = f"the title {shorten(title)!r} is given twice" if title in found else f"at most {MOST} can be given"
            raise InputError(f"{named}: {why}", "presets")
        found[title] = changes
    return found


def _changes(entry: Mapping[str, Any], named: str) -> Changes:
    """What an entry changes; refused here is what no tokenizer is needed to refuse."""
    known = [field.name for field in fields(Experiment)]
    if unknown := sorted(set(entry) - {*known, "title"}):
        raise InputError(f"{named}: unknown key {unknown[0]!r}; known are title, {', '.join(known)}", "presets")
    changes: dict[str, Any] = {}
    for name, value in entry.items():
        whole = name in _NUMBERS
        if whole and not str(value).isdecimal() or not whole and not isinstance(value, str):
            kind = "whole number" if whole else "text; put it in quotes"
            raise InputError(f"{named}: {name} = {shorten(repr(value))} is no {kind}", "presets")
        if name != "title":
            changes[name] = int(value) if whole else value
    sentence = changes.get("sentence", "")
    word = first_content_word(sentence) if leaves_the_word_open(changes) else None
    try:
        tried = Experiment(**{**changes, **({} if word is None else choose_word(sentence, word))})
        check(tried)
        prompt_text(tried)
    except InputError as error:
        raise InputError(f"{named}: {error}", "presets") from None
    return changes


def leaves_the_word_open(changes: Changes) -> bool:
    """Whether INSTRUCT is to choose the word: of a sentence without one."""
    return "sentence" in changes and not changes.get("prompt") and not changes.get("original")
