"""Synonyms of adjectives as WordNet 3.0 has them, for the lists of accepted words; not needed by the app.

Its database is Debian's package `wordnet-base`. Accepted are the other words of every sense of an adjective, and the
words of the senses that WordNet calls similar to one of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

DATABASE = Path("/usr/share/wordnet/data.adj")


@cache
def _synsets() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Offset → (words, offsets of similar synsets)."""
    found = {}
    for line in DATABASE.read_text(encoding="ascii").splitlines():
        if line.startswith("  "):  # the licence
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = tuple(word.partition("(")[0].lower() for word in fields[4 : 4 + 2 * count : 2])
        pointers = fields[5 + 2 * count :]
        similar = tuple(pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] == "&")
        found[fields[0]] = (words, similar)
    return found


def related(word: str) -> tuple[str, ...]:
    """Single words that mean nearly the same, or a FileNotFoundError where WordNet is not installed."""
    found: dict[str, None] = {}
    for words, similar in _synsets().values():
        if word in words:
            found |= dict.fromkeys(words)
            for offset in similar:
                found |= dict.fromkeys(_synsets()[offset][0])
    return tuple(other for other in found if other != word and other.isalpha())
