"""The words of the training text, read from the lists beside this file, and what is kept for judging.

Judged are adjectives, nouns and wordings that no training text holds, and combinations of a trained adjective with a
trained noun that never stand near each other in one. The lists and a checksum decide, so that training, prompts and
tests agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

FOLDER = Path(__file__).parent
_NEAR = 6  # words between an adjective and a noun that it may describe
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


@dataclass(frozen=True)
class Group:
    """Adjectives that can stand for each other; kinds: the classes they describe; opposite: its words, or none."""

    words: tuple[str, ...]
    kinds: str
    opposite: tuple[str, ...]


@dataclass(frozen=True)
class Noun:
    singular: str
    plural: str
    kind: str
    unseen: bool


def lines(name: str) -> list[str]:
    """The lines of one of the lists, comments left out."""
    read = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in read if line.strip() and not line.startswith("#")]


@cache
def groups() -> tuple[Group, ...]:
    """The groups of adjectives, those that are several tokens of the model left out."""
    found: list[Group] = []
    pieced = set(" ".join(lines("several_tokens.txt")).split())
    for line in lines("adjectives.txt"):
        body, kinds = line.rsplit(" : ", 1)
        sides = [tuple(word for word in side.split() if word not in pieced) for side in body.split(" | ")]
        others = (sides[1], sides[0]) if len(sides) == 2 else ((),)
        found += [Group(words, kinds, other) for words, other in zip(sides, others)]
    return tuple(found)


@cache
def nouns() -> tuple[Noun, ...]:
    found = []
    for line in lines("nouns.txt"):
        kind, both = line.split(": ", 1)
        for unseen, part in enumerate(both.split(" | ")):
            for entry in part.split():
                singular, _, plural = entry.partition("/")
                found.append(Noun(singular, plural or singular + "s", kind, bool(unseen)))
    return tuple(found)


@cache
def wordings() -> dict[str, tuple[str, ...]]:
    """Task → wordings; those of "held out" stand in no training text."""
    found: dict[str, list[str]] = {}
    for line in lines("instructions.txt"):
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), [])
        else:
            current.append(line)
    return {task: tuple(texts) for task, texts in found.items()}


@cache
def unseen_words() -> frozenset[str]:
    return frozenset(" ".join(lines("unseen.txt")).split())


@cache
def synonyms(word: str, kind: str, seen: bool = True) -> tuple[str, ...]:
    """What may stand for an adjective that describes a class; seen: only what training may show."""
    found = dict.fromkeys(
        other for group in groups() if word in group.words and kind in group.kinds for other in group.words
    )
    return tuple(other for other in found if other != word and not (seen and other in unseen_words()))


def in_any_class(word: str) -> tuple[str, ...]:
    """Every word that shares a group with an adjective, whatever they describe there."""
    found = dict.fromkeys(other for group in groups() if word in group.words for other in group.words)
    return tuple(other for other in found if other != word)


@cache
def opposites(word: str, kind: str) -> tuple[str, ...]:
    """Trained words of the opposite meaning, none where the lists have none."""
    found = dict.fromkeys(
        other for group in groups() if word in group.words and kind in group.kinds for other in group.opposite
    )
    return tuple(other for other in found if other not in unseen_words())


@cache
def adjectives(kind: str, unseen: bool) -> tuple[str, ...]:
    """The adjectives of a class that have two trained synonyms, either the trained ones or the unseen."""
    known = dict.fromkeys(word for group in groups() if kind in group.kinds for word in group.words)
    return tuple(word for word in known if (word in unseen_words()) == unseen and len(synonyms(word, kind)) > 1)


@cache
def all_adjectives() -> frozenset[str]:
    return frozenset(word for group in groups() for word in group.words)


@cache
def _singular() -> dict[str, str]:
    return {form: noun.singular for noun in nouns() for form in (noun.plural, noun.singular)}


@cache
def _unseen_nouns() -> frozenset[str]:
    return frozenset(form for noun in nouns() if noun.unseen for form in (noun.singular, noun.plural))


@cache
def is_unseen_combination(adjective: str, noun: str) -> bool:
    """Whether a trained adjective and a trained noun (singular) never stand near each other in training."""
    return (adjective, noun) == ("quick", "fox") or crc32(f"{adjective} {noun}".encode()) % 12 == 0


def held_out_in(text: str) -> list[str]:
    """What a text holds that no training text may: unseen words, unseen nouns, unseen combinations."""
    words = _WORD.findall(text.lower())
    found = [word for word in words if word in unseen_words() or word in _unseen_nouns()]
    for i, adjective in enumerate(words):
        if adjective in all_adjectives():
            for word in words[max(i - _NEAR, 0) : i + _NEAR + 1]:
                noun = _singular().get(word)
                if noun and is_unseen_combination(adjective, noun):
                    found.append(f"{adjective} {noun}")
    return found
