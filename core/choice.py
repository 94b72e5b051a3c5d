"""Which word of a sentence is the original, while the sentence is edited: a choice stays where it was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from core.experiment import Experiment, choose_word, occurrences, word_spans, words
from core.function_words import is_function_word

MOST_WORDS = 1000  # of sentences that are laid beside each other, which takes time by the square


def keep_choice(experiment: Experiment, sentence: str) -> dict[str, str | int]:
    """The fields that keep the experiment's original in another sentence; empty where it does not stand there.

    It stands where the same word stands, case apart: of several the one that the edit left in its place, else the
    first. Where the edit replaced just that word by another one, that one is in its place, and the answer is open.
    """
    before, after = words(experiment.sentence), words(sentence)
    folded = [word.casefold() for word in after]
    chosen, place = chosen_word(experiment), None
    if chosen is not None and max(len(before), len(after)) <= MOST_WORDS:
        matcher = SequenceMatcher(None, [word.casefold() for word in before], folded, autojunk=False)
        place = next((b + chosen - a for a, b, size in matcher.get_matching_blocks() if a <= chosen < a + size), None)
        swapped = [op[1:] for op in matcher.get_opcodes() if op[0] != "equal"]
        if swapped == [(chosen, chosen + 1, chosen, chosen + 1)] and not is_function_word(after[chosen]):
            return {**choose_word(sentence, chosen), "answer": ""}
    if place is None:
        word = experiment.original.strip()
        if starts := occurrences(sentence, word):
            return {"original": word, "occurrence": int(len(starts) > 1)}
        place = folded.index(word.casefold()) if word.casefold() in folded else None
    return {} if place is None else choose_word(sentence, place)


def stands(text: str, candidate: str) -> bool:
    """Whether a free prompt's candidate, the spaces around it apart, stands in the text as a whole word or sign."""
    bare = candidate.strip()
    return bool(bare) and bool(occurrences(text, bare))


def with_word(experiment: Experiment, index: int, answer: str = "") -> Experiment:
    """The experiment about another word of its sentence, by its number from 0; the answer is open if none is given."""
    chosen: dict[str, Any] = choose_word(experiment.sentence, index)
    return replace(experiment, **chosen, answer=answer)


def chosen_word(experiment: Experiment) -> int | None:
    """The number of the word that is the original, from 0; None where none is, or where it is open which one is."""
    word, number = experiment.original.strip(), experiment.occurrence
    starts = occurrences(experiment.sentence, word)
    if not (0 < number <= len(starts) or (number == 0 and len(starts) == 1)):
        return None
    start, spans = starts[max(number, 1) - 1], word_spans(experiment.sentence)
    return spans.index((start, start + len(word))) if (start, start + len(word)) in spans else None


def first_content_word(sentence: str, fits: Callable[[int], bool] = lambda index: True) -> int | None:
    """The first word that is no function word, else the first word at all, of those that fit; None without one.

    fits: whether the word of a number can be an original, which a tokenizer must say.
    """
    order = sorted(enumerate(words(sentence)), key=lambda item: is_function_word(item[1]))
    return next((index for index, _ in order if fits(index)), None)
