"""Which words the tiny pair knows: those that its training text is made of, each one token of its vocabulary."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from core.function_words import FUNCTION_WORDS
from core.tiny.words import content_words

TOKENIZER = Path(__file__).parent / "base" / "tokenizer.json"
_SPACE, _FIRST_WORD = "Ġ", "\n\n"


@cache
def known_words() -> frozenset[str]:
    """In lower case. Its pieces of words, which spell what it does not know, are left out."""
    vocabulary = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]
    tokens = [token.replace("Ċ", "\n") for token in sorted(vocabulary, key=vocabulary.get)]
    whole = {token.removeprefix(_SPACE).casefold() for token in tokens[tokens.index(_FIRST_WORD) :]}
    pieces = {token.removeprefix(_SPACE).casefold() for token in tokens if token.startswith(_SPACE)}
    return frozenset(whole | (pieces & FUNCTION_WORDS) | {word.casefold() for word in content_words()})


def unknown_words(words: list[str]) -> list[str]:
    """Those that stand nowhere in its training text, once each, as written."""
    known = known_words()
    return [word for word in dict.fromkeys(words) if word.casefold() not in known]
