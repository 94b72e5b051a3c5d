"""The word that INSTRUCT would change: its own rewriting of a sentence, laid beside the sentence word by word.

The rewriting is what INSTRUCT writes greedily behind the header, before any word is chosen. A word is what it changes
where another word stands in its place, or none. Words that it only writes in another case stand; so do function words,
which follow what is changed ("a big" → "an enormous").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial

from core.choice import first_content_word
from core.experiment import word_spans, words
from core.function_words import is_function_word

MOST_WORDS = 60  # of a sentence, among which one is chosen

Fits = Callable[[int, str], bool]


@dataclass(frozen=True)
class Rewriting:
    """INSTRUCT's rewriting of a sentence, and the word of the sentence that is to be the original.

    words, spans: the sentence's words, and the (start, end) of each in it, in characters.
    written: the rewriting, "" while it is not there.
    chosen: the number of the word, from 0, for `core.experiment.choose_word`.
    replacement: what INSTRUCT writes in its place, "" where that is nothing.
    reason: "replaced" or "deleted" by INSTRUCT, or "first": the first word that is one token and no function word.
    """

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    written: str
    chosen: int
    replacement: str
    reason: str


@dataclass(frozen=True)
class Change:
    """A word of the sentence, by its number, that the rewriting has not. alone: one content word for one."""

    word: int
    replacement: str
    alone: bool


def choose_original(sentence: str, written: str, fits: Fits, finished: bool = True) -> Rewriting | None:
    """The word that the rewriting changes first; None where no word of the sentence fits.

    fits: whether the word of a number, and what shall replace it ("" for what INSTRUCT will suggest), are one token
    each in context. Preferred are words replaced one by one, then those within longer spans, then those of which only
    the replacement does not fit, then deleted ones. finished: False for a rewriting that was cut off.
    """
    whole = partial(Rewriting, tuple(words(sentence)), tuple(word_spans(sentence)), written)
    for rank, change in sorted(_ranked(changes(sentence, written, finished)), key=lambda item: item[0]):
        if fits(change.word, change.replacement if rank < _REPLACED else ""):
            return whole(change.word, change.replacement, "replaced" if change.replacement else "deleted")
    first = first_content_word(sentence, lambda index: index < MOST_WORDS and fits(index, ""))
    return None if first is None else whole(first, "", "first")


_ALONE, _WITHIN, _REPLACED, _DELETED = range(4)


def _ranked(found: list[Change]) -> Iterator[tuple[int, Change]]:
    for change in found:
        if not change.replacement:
            yield _DELETED, change
        else:
            yield _ALONE if change.alone else _WITHIN, change
            yield _REPLACED, change


def changes(sentence: str, written: str, finished: bool = True) -> list[Change]:
    """The words of the sentence that stand not in the rewriting, in order, function words left out."""
    before, after = words(sentence)[:MOST_WORDS], words(written)
    a, b = ([word.casefold() for word in text] for text in (before, after))
    found: list[Change] = []
    for kind, start, stop, first, last in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        cut_off = stop == len(before) and not finished
        if kind == "insert" or kind == "equal" or cut_off:
            continue
        alone = stop - start == last - first
        places = [i for i in range(start, stop) if not is_function_word(before[i])]
        others = [word for word in after[first:last] if not is_function_word(word)]
        if alone:
            pairs = [(i, after[first + i - start]) for i in places]
        elif len(places) == len(others):
            pairs = list(zip(places, others))
        else:
            # Which word stands for which cannot be told: the first stands for the span.
            pairs = [(i, others[0] if others else "") for i in places]
        found += [Change(i, word, alone and not is_function_word(word)) for i, word in pairs]
    return found
