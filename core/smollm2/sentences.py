"""Sentences of natural structures, filled from frames, whose rephrasings are exact by construction.

A sentence is a tuple of `Word`s; an adjective knows the class of what it describes. `render` sets the spaces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from core.smollm2.words import Noun, adjectives, lines, nouns

_SLOT = re.compile(r"\{([A-Z])(?:\.(ns|n|s|a))?\}|[\w'-]+|[.,?!]")
_SECOND = 0.1  # of described nouns carry two adjectives
_SPOKEN_YOU = ("use", "usu", "uni", "uti", "eu", "one")
_SILENT = ("honest", "honorable", "hour")


@dataclass(frozen=True)
class Word:
    """A word or a mark of the sentence. kind: what an adjective describes, else ""; predicate: apart from its noun."""

    text: str
    kind: str = ""
    predicate: bool = False


Sentence = tuple[Word, ...]


@cache
def frames(unseen: bool = False) -> tuple[str, ...]:
    """Those of the training text, or those that stand in prompts that judge only."""
    read = lines("sentences.txt")
    at = read.index("[held out]")
    return tuple(read[at + 1 :] if unseen else read[:at])


def one_sentence(rng: Random) -> str:
    return rng.choice(frames())


def two_sentences(rng: Random) -> str:
    return f"{rng.choice(frames())} {rng.choice([frame for frame in frames() if frame[0] != '{'])}"


def phrases(rng: Random) -> str:
    """A frame that lists described nouns: many adjectives in few words."""
    kinds = rng.choices("PAOLFEIN", k=rng.randint(3, 6))
    return ", ".join(rng.choice(_PHRASES).format("{" + kind, "}") for kind in kinds) + "."


_PHRASES = ("the {0}{1}", "a {0}{1}", "my {0}{1}", "this {0}{1}", "some {0}.s{1}", "these {0}.s{1}", "{0}.s{1}")


def article(word: str) -> str:
    """The indefinite article by the sound that the word begins with."""
    vowel = word[0] in "aeiou" and (not word.startswith(_SPOKEN_YOU) or word.startswith("unin"))
    return "an" if vowel or word.startswith(_SILENT) else "a"


def respell(sentence: Sentence, texts: dict[int, str]) -> Sentence:
    """The sentence with other words at some places, articles set anew and the first word capital."""
    words = [replace(word, text=texts.get(i, word.text)) for i, word in enumerate(sentence)]
    for i, word in enumerate(words[:-1]):
        if word.text in ("a", "an", "A", "An"):
            set_anew = article(words[i + 1].text.lower())
            words[i] = replace(word, text=set_anew if i else set_anew.capitalize())
    words[0] = replace(words[0], text=words[0].text[0].upper() + words[0].text[1:])
    return tuple(words)


def pieces(sentence: Sentence) -> list[str]:
    """Each word as it stands in the text, the space before it included, the first word's too."""
    return [word.text if word.text in ".,?!" else " " + word.text for word in sentence]


def render(sentence: Sentence) -> str:
    return "".join(pieces(sentence)).strip()


def adjectives_of(sentence: Sentence) -> list[int]:
    return [i for i, word in enumerate(sentence) if word.kind]


@cache
def _nouns(kind: str, unseen: bool) -> tuple[Noun, ...]:
    return tuple(noun for noun in nouns() if noun.kind == kind and noun.unseen == unseen)


def _described(rng: Random, noun: Noun, plural: bool, unseen: bool) -> list[Word]:
    count = 2 if rng.random() < _SECOND else 1
    found = [Word(text, noun.kind) for text in rng.sample(adjectives(noun.kind, unseen), count)]
    if count == 2 and rng.random() < 0.4:
        found.insert(1, Word("and"))
    return [*found, Word(noun.plural if plural else noun.singular)]


def fill(rng: Random, frame: str, unseen: bool = False, unseen_nouns: bool = False) -> Sentence:
    """A frame with adjectives and nouns drawn for its slots: those of the training text, or the unseen ones."""
    filled: list[Word] = []
    for match in _SLOT.finditer(frame):
        kind, form = match.groups()
        if kind is None:
            filled.append(Word(match.group()))
        elif form == "a":
            filled.append(Word(rng.choice(adjectives(kind, unseen)), kind, predicate=True))
        else:
            noun = rng.choice(_nouns(kind, unseen_nouns))
            if form in ("n", "ns"):
                filled.append(Word(noun.plural if form == "ns" else noun.singular))
            else:
                filled += _described(rng, noun, form == "s", unseen)
    return respell(tuple(filled), {})
