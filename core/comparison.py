"""Two experiments beside each other, A and B: how an address spells both, what tells them apart, in words.

An address spells A by its own parameters, and of B only what differs, each under `PREFIX`: `sentence=…&b_sentence=…`.
`compare=1` says that two are meant where nothing differs yet. An empty value is a field's own empty one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import pandas as pd

from core.experiment import Experiment, from_query, shorten, to_query
from core.wording import quoted, visible

PREFIX, MARK = "b_", "compare"
NAMES = (MARK, *(f"{PREFIX}{name}" for name in Experiment.__dataclass_fields__))
# What a person calls the fields, in the order in which they are told; roles are no part of a comparison.
_CALLED = {
    "pair": "pair",
    "base": "BASE",
    "instruct": "INSTRUCT",
    "instruction": "instruction",
    "sentence": "sentence",
    "prompt": "free prompt",
    "original": "word",
    "occurrence": "occurrence",
    "answer": "answer",
    "template": "template",
    "dtype": "dtype",
}
_LONG = ("instruction", "sentence", "prompt")


def differing(a: Experiment, b: Experiment) -> list[str]:
    """The fields in which they differ, in the experiment's order."""
    return [field.name for field in fields(Experiment) if getattr(a, field.name) != getattr(b, field.name)]


def spelled(a: Experiment, b: Experiment) -> dict[str, str]:
    """The parameters of an address that compares them."""
    others = {f"{PREFIX}{name}": _text(getattr(b, name)) for name in differing(a, b)}
    return {**to_query(a), MARK: "1", **others}


def read(query: Mapping[str, str]) -> tuple[Experiment, Experiment, list[str]] | None:
    """A and B as an address spells them, with a line for each parameter that could not be read; None without a B."""
    others = {name.removeprefix(PREFIX): text for name, text in query.items() if name in NAMES and name != MARK}
    if not others and query.get(MARK) != "1":
        return None
    a, complaints = from_query(query)
    # Nothing chosen is no text of a number's.
    absent = {name for name in ("occurrence", "colon", "picked") if others.get(name) == ""}
    mixed = {name: text for name, text in {**query, **others}.items() if name not in absent}
    b, of_both = from_query(mixed)
    told = [f"{PREFIX}{line}" if line.partition("=")[0] in others else line for line in of_both]
    return a, b, list(dict.fromkeys([*complaints, *told]))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def in_words(a: Experiment, b: Experiment) -> str:
    """What A has where it differs from B: `sentence “The quick fox…” · word “quick”`; empty where nothing differs."""
    names = differing(a, b)
    told = [f"{_CALLED[name]} {_said(name, str(getattr(a, name)))}" for name in _CALLED if name in names]
    return " · ".join(told)


def _said(name: str, value: str) -> str:
    if name in _LONG:
        return f"“{shorten(value, 60)}”" if value else "none"
    if name in ("original", "answer"):
        return quoted(value) if value else "of its own"
    return visible(value, 40) if value else "of its own"


def other_shape(a: tuple[int, ...], b: tuple[int, ...], column: str = "head") -> str:
    """Why two maps of (layers, columns) have no difference, in one sentence; empty where they have one."""
    if a == b:
        return ""
    sizes = [f"{layers} layers of {count} {column}{'s' if count != 1 else ''}" for layers, count in (a, b)]
    return (
        f"A's models have {sizes[0]}, B's {sizes[1]}: no {column} of one stands for one of the other, hence no B − A."
    )


def joined(a: pd.DataFrame, b: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The tidy tables of A and B below each other, `of` saying whose a row is, and B − A of their numbers where they
    have the same rows. by: the columns that name a row."""
    names = [name for name in by if name in a]
    both = a.merge(b, on=names, suffixes=("_a", "_b"))
    parts = [a.assign(of="A"), b.assign(of="B")]
    if len(both) == len(a) == len(b):
        numbers = [name for name in a.select_dtypes("number") if name not in names]
        changes = {name: both[f"{name}_b"] - both[f"{name}_a"] for name in numbers}
        parts.append(both[names].assign(**changes, of="B − A"))
    whole = pd.concat(parts, ignore_index=True)
    return whole[["of", *(name for name in whole if name != "of")]]
