"""A set made of one sentence: its adjective and its nouns swapped for others that fit, the instruction left as it is.

Words come from the lists that the embedded pairs were trained with: adjectives in groups of synonyms that describe a
class of nouns, nouns by class. What is swapped for a word of another class would be nonsense, so it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from core.experiment import Experiment, InputError, word_spans
from core.models.pairs import EMBEDDED

MOST = 60  # prompts of a built set
_VOWELS = "aeiou"


@dataclass(frozen=True)
class _Swap:
    """One word of the sentence in place of another. span: its characters; answers: of an adjective, its synonyms."""

    span: tuple[int, int]
    word: str
    answers: tuple[str, ...] = ()


def build(experiment: Experiment, answer: str) -> list[dict[str, str]]:
    """The rows of the set by column, at most `MOST`, the sentence itself first; an `InputError` where nothing can be
    swapped. answer: of the sentence itself, a bare word."""
    if experiment.is_free:
        raise InputError("a free prompt has no sentence whose words could be swapped; give one", "sentence")
    sentence = experiment.sentence.strip()
    spans = word_spans(sentence)
    original = next((span for span in spans if sentence[slice(*span)] == experiment.original.strip()), None)
    own = tuple(filter(None, [answer.strip()]))
    adjectives, nouns = _adjectives(experiment, sentence, original), _nouns(experiment, sentence)
    if original is None or not (adjectives or nouns):
        raise InputError(
            f"none of the words of “{sentence}” is in the lists of adjectives and nouns; write the set as a table",
            "sentence",
        )
    first = _Swap(original, sentence[slice(*original)], _synonyms(experiment, sentence[slice(*original)]) or own)
    rows = [_row(experiment, sentence, first, None)]
    rows += [_row(experiment, sentence, first, noun) for noun in nouns]
    rows += [_row(experiment, sentence, adjective, None) for adjective in adjectives]
    both = [_row(experiment, sentence, *each) for each in product(adjectives, nouns)]
    return _spread(rows, both)


def _spread(single: list[dict[str, str]], both: list[dict[str, str]]) -> list[dict[str, str]]:
    """The sentence, then what fits of each kind, taken at even distances."""
    kept = _evenly(single[1:], MOST // 2)
    return [single[0], *kept, *_evenly(both, MOST - 1 - len(kept))]


def _evenly(rows: Sequence[dict[str, str]], count: int) -> list[dict[str, str]]:
    count = min(count, len(rows))
    return [rows[n * len(rows) // count] for n in range(count)]


def _row(experiment: Experiment, sentence: str, adjective: _Swap, noun: _Swap | None) -> dict[str, str]:
    swaps = [adjective] if noun is None else [adjective, noun]
    changed = sentence
    for swap in sorted(swaps, key=lambda each: -each.span[0]):
        start, end = swap.span
        changed = _with_article(changed[:start], swap.word) + changed[end:]
    as_it_is = sentence[slice(*adjective.span)] == adjective.word
    structure = {(True, True): "as typed", (True, False): "other noun", (False, True): "other adjective"}
    return {
        "instruction": experiment.instruction,
        "sentence": changed,
        "original": adjective.word,
        "answers": ";".join(adjective.answers),
        "structure": structure.get((as_it_is, noun is None), "both others"),
        "template": experiment.template,
    }


def _with_article(before: str, word: str) -> str:
    """What stands before a word, its last “a” or “an” as the word wants it, and the word."""

    def article(match: re.Match[str]) -> str:
        return match[1] + ("n" if word[0].lower() in _VOWELS else "") + match[2]

    return re.sub(r"(?<![^\s])([Aa])n?(\s+)$", article, before) + word


def _like(word: str, pattern: str) -> str:
    """A word with a capital where the one that it replaces has one."""
    return word[:1].upper() + word[1:] if pattern[:1].isupper() else word


def _adjectives(experiment: Experiment, sentence: str, original: tuple[int, int] | None) -> list[_Swap]:
    """Other adjectives for the original: those that describe what the next noun is, else what the original can."""
    if original is None:
        return []
    typed = sentence[slice(*original)]
    own = {kind for words, kinds in _groups(experiment) if typed.lower() in words for kind in kinds}
    classes = dict(_classes(experiment))
    ahead = [classes[word] for span, word in _words(sentence) if word in classes and span > original]
    wanted = own & set(ahead[0]) if ahead and own else own
    found = []
    for words, kinds in _groups(experiment):
        if wanted & set(kinds) and typed.lower() not in words:
            found += [_Swap(original, _like(word, typed), _others(word, words)) for word in words if len(words) > 1]
    return found


def _synonyms(experiment: Experiment, word: str) -> tuple[str, ...]:
    found = [_others(word.lower(), words) for words, _ in _groups(experiment) if word.lower() in words]
    return tuple(dict.fromkeys(other for others in found for other in others))


def _others(word: str, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(other for other in words if other != word)


def _nouns(experiment: Experiment, sentence: str) -> list[_Swap]:
    """Other nouns of the same class and number for each noun that is known; none that the sentence holds already."""
    there = {word for _, word in _words(sentence)}
    found = []
    for span, word in _words(sentence):
        for forms in _noun_forms(experiment):
            if word in forms:
                typed = sentence[slice(*span)]
                found += [_Swap(span, _like(other, typed)) for other in forms if other not in there]
                break
    return found


def _words(sentence: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Each word's place and the word in small letters."""
    for span in word_spans(sentence):
        yield span, sentence[slice(*span)].lower()


def _groups(experiment: Experiment) -> list[tuple[tuple[str, ...], str]]:
    """(words, classes that they describe) of each group of synonyms."""
    if experiment.pair == EMBEDDED:
        from core.tiny.words import groups as tiny_groups

        return [(group.words, group.classes) for group in tiny_groups()]
    from core.smollm2.words import groups

    return [(group.words, group.kinds) for group in groups()]


def _noun_forms(experiment: Experiment) -> list[list[str]]:
    """The nouns of each class, all of one number."""
    return [[word for word, of in _classes(experiment, number) if of == kind]
            for number in (0, 1) for kind in dict.fromkeys(of for _, of in _classes(experiment, number))]  # fmt: skip


def _classes(experiment: Experiment, number: int | None = None) -> list[tuple[str, str]]:
    """(word, class) of every noun; number: 0 for singular, 1 for plural, None for both."""
    if experiment.pair == EMBEDDED:
        from core.tiny.words import nouns as tiny_nouns

        listed = [((noun.singular, noun.plural), noun.kind) for noun in tiny_nouns()]
    else:
        from core.smollm2.words import nouns

        listed = [((noun.singular, noun.plural), noun.kind) for noun in nouns()]
    return [(form, kind) for forms, kind in listed for n, form in enumerate(forms) if number in (None, n)]
