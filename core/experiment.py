"""The question: one frozen value that determines every number on the screen.

An `Experiment` says which pair of models, which prompt, which two candidates, which positions and
which dtype. It knows neither models nor tokenizers: what needs them is in `core.prompt`.

The post's prompt is `{instruction}: {sentence}\\n\\nRephrased sentence: {prefix}`, where the prefix is the
part of the sentence before the original word. A free prompt replaces all of that by exact strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import regex

from core.wording import literal

DEFAULT_INSTRUCTION = "Rephrase all the adjectives of the following sentence"
DEFAULT_SENTENCE = "The quick fox jumps over the dog."
DEFAULT_ORIGINAL = "quick"
SEAM = "\n\n"  # between the sentence and the begun answer
HEADER = "Rephrased sentence:"
DTYPES = ("float32", "bfloat16", "float16", "float64")
TEMPLATES = ("raw", "chat")
TEXTS = ("instruction", "sentence", "prompt", "original", "answer")
MAX_CHARACTERS = 20_000


class InputError(ValueError):
    """A value the user gave cannot be used. `field` names the input it belongs to, the message the way out."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Experiment:
    """Everything that determines a result. Strings are as typed; positions count from 0.

    pair: id in the registry of pairs, or "" when `base` and `instruct` name two models.
    original: a bare word of the sentence ("quick"), or in a free prompt an exact string (" quick").
    answer: the replacement, bare or exact likewise; "" takes INSTRUCT's own suggestion.
    occurrence: which occurrence of the word in the sentence, from 1; 0 when it occurs only once.
    prompt: a free prompt; "" uses instruction and sentence.
    colon: which token with ":" has the role colon, from 0.
    picked: index of a token that the user picked, or None.
    dtype: "" takes the pair's own, or what fits in its place: `core.models.dtype`.
    template: "raw" is the text as it stands, "chat" INSTRUCT's own chat template around it (see `core.template`).
    """

    pair: str = "tiny"
    base: str = ""
    instruct: str = ""
    instruction: str = DEFAULT_INSTRUCTION
    sentence: str = DEFAULT_SENTENCE
    original: str = DEFAULT_ORIGINAL
    answer: str = ""
    occurrence: int = 0
    prompt: str = ""
    colon: int = 0
    picked: int | None = None
    dtype: str = ""
    template: str = "raw"

    @property
    def is_free(self) -> bool:
        return bool(self.prompt)


@dataclass(frozen=True)
class PromptText:
    """The prompt as one string, and where in it the original word ends.

    text: what both models read, ending at END.
    original, answer: candidates as exact strings, with the leading space the original has; answer is None if open.
    original_end: character index just past the original word in the sentence; None in a free prompt.
    begun: character index at which the begun answer starts, with `HEADER`; None in a free prompt.
    literal: where a special token's name ("<s>") is only text: in all of a prompt made of parts, in nothing of a free
    one, and under a chat template within the (start, end) of its two turns. Elsewhere it is the token.
    after: what a chat template writes behind a finished answer, beginning with the end of the turn; else "".
    """

    text: str
    original: str
    answer: str | None
    original_end: int | None
    begun: int | None = None
    literal: bool | tuple[tuple[int, int], ...] = False
    after: str = ""


def words(sentence: str) -> list[str]:
    """The words of a sentence in order, without punctuation: what can be chosen as the original."""
    return [sentence[start:end] for start, end in word_spans(sentence)]


def word_spans(sentence: str) -> list[tuple[int, int]]:
    """(start, end) of each word, in characters."""
    return [match.span() for match in _WORD.finditer(sentence)]


def choose_word(sentence: str, index: int) -> dict[str, str | int]:
    """The fields `original` and `occurrence` that name the sentence's word number `index`, from 0."""
    start, end = word_spans(sentence)[index]
    starts = occurrences(sentence, sentence[start:end])
    return {"original": sentence[start:end], "occurrence": starts.index(start) + 1 if len(starts) > 1 else 0}


# Marks and joiners belong to the letter before them: vowels of Hebrew and Hindi, accents that stand apart.
_LETTER = r"[\p{L}\p{N}\p{M}\u200c\u200d]"
_WORD = regex.compile(rf"{_LETTER}+(?:['’\-]{_LETTER}+)*")
_IS_LETTER = regex.compile(_LETTER)


def occurrences(sentence: str, word: str) -> list[int]:
    """Character index of every whole-word occurrence of `word` in the sentence."""
    # No pattern of the word: a long one that nearly repeats itself would be compared for minutes.
    starts, start = [], sentence.find(word)
    while start >= 0:
        end = start + len(word)
        beside = sentence[max(start - 1, 0) : start] + sentence[end : end + 1]
        whole = not _IS_LETTER.search(beside)
        starts += [start] if whole else []
        start = sentence.find(word, max(end, start + 1) if whole else start + 1)
    return starts


def shorten(text: str, length: int = 60) -> str:
    """A one-line excerpt for messages and titles."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def prompt_text(experiment: Experiment) -> PromptText:
    """The text of the prompt and the two candidate strings, or an `InputError` that names the input."""
    check(experiment)
    if experiment.is_free:
        return PromptText(experiment.prompt, experiment.original, experiment.answer or None, None)
    word, sentence = experiment.original.strip(), experiment.sentence.strip()
    start = _start_of_original(sentence, word, experiment.occurrence)
    prefix = sentence[:start].rstrip()
    # The first word of a sentence follows the header, from which a space parts it.
    space = " " if start == 0 or prefix != sentence[:start] else ""
    opening = _opening(experiment)
    turn = f"{opening}{sentence}{SEAM}"
    text = f"{turn}{HEADER} {prefix}".rstrip(" ")
    answer = experiment.answer.strip()
    return PromptText(
        text,
        original=space + word,
        answer=space + answer if answer else None,
        original_end=len(opening) + start + len(word),
        begun=len(turn),
        literal=True,
    )


def text_alone(experiment: Experiment) -> PromptText:
    """The prompt without its candidates, which cannot be refused then: of a sentence the original still says where it
    ends, of a free prompt nothing does."""
    if experiment.is_free:
        check(experiment, ("prompt",))
        return PromptText(experiment.prompt, original="", answer=None, original_end=None)
    return prompt_text(replace(experiment, answer=""))


def text_before_answer(experiment: Experiment) -> PromptText:
    """The prompt before any word is chosen: it ends with the header, whatever original and answer are."""
    check(experiment, ("instruction", "sentence"))
    if experiment.is_free:
        raise InputError("a free prompt has no sentence to rephrase; give instruction and sentence", "prompt")
    turn = f"{_opening(experiment)}{experiment.sentence.strip()}{SEAM}"
    return PromptText(turn + HEADER, original="", answer=None, original_end=None, begun=len(turn), literal=True)


def _opening(experiment: Experiment) -> str:
    """The colon is the template's: one that was typed behind the instruction is the same one."""
    return f"{experiment.instruction.strip().removesuffix(':').rstrip()}: "


def check(experiment: Experiment, texts: Sequence[str] = TEXTS) -> None:
    """Refuse what no tokenizer is needed to refuse. texts: those that are looked at."""
    for name in texts:
        _check_text(getattr(experiment, name), name)
    if experiment.dtype and experiment.dtype not in DTYPES:
        raise InputError(f"dtype {shorten(experiment.dtype)!r} is unknown; choose {', '.join(DTYPES)}", "dtype")
    if experiment.template not in TEMPLATES:
        raise InputError(
            f"the template {shorten(experiment.template)!r} is unknown; choose {' or '.join(TEMPLATES)}", "template"
        )
    if experiment.is_free and experiment.template != "raw":
        raise InputError(
            f"a free prompt is read as it stands, template {experiment.template!r} does not go with it; choose the "
            "template raw and write the chat's special tokens into the prompt, or give instruction and sentence",
            "template",
        )
    if experiment.colon < 0:
        raise InputError(f"colon {experiment.colon} is negative; 0 is the first colon of the prompt", "colon")
    required = ("prompt", "original") if experiment.is_free else ("instruction", "sentence", "original")
    for name in required:
        # An instruction of a colon alone is none.
        if name in texts and not getattr(experiment, name).strip().removesuffix(":" if name == "instruction" else ""):
            raise InputError(f"the {name} is empty; {_REMEDY[name]}", name)
    if "answer" in texts:
        _check_candidates(experiment)


def _check_candidates(experiment: Experiment) -> None:
    answer, original = experiment.answer, experiment.original
    same = answer.strip().casefold() == original.strip().casefold()
    if answer and same and (not experiment.is_free or answer == original):
        raise InputError(f"the answer {literal(answer)} is the original word itself; choose a replacement", "answer")
    if not experiment.is_free:
        return
    for name, candidate, other in (("original", original, answer), ("answer", answer, original)):
        if not _goes_on_the_last_word(experiment.prompt, candidate):
            continue
        # Two pieces of a word can be meant; a piece beside a word, or a word that the prompt holds whole, cannot.
        if not other or other[0].isspace() or occurrences(experiment.prompt, candidate):
            end, shown = shorten(experiment.prompt.split()[-1], 20), shorten(candidate, 40)
            raise InputError(
                f"the {name} {literal(shown)} would go on the last word of the prompt ({literal(end + shown)}); "
                f"begin it with a space: {literal(' ' + shown)}",
                name,
            )


def _goes_on_the_last_word(prompt: str, candidate: str) -> bool:
    """Whether two letters meet, of scripts that part words by spaces: those that know capitals."""
    return all(c.isalpha() and c.lower() != c.upper() for c in (prompt[-1:], candidate[:1]))


_REMEDY = {
    "instruction": f"for example “{DEFAULT_INSTRUCTION}”",
    "sentence": f"for example “{DEFAULT_SENTENCE}”",
    "original": "choose a word of the sentence",
    "prompt": "type the exact text that both models shall continue",
}


# Of what is below a space only line breaks and tabs; no half of a pair of surrogates.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def _check_text(text: str, field: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"the {field} has {len(text):,} characters; at most {MAX_CHARACTERS:,} can be analysed: shorten it", field
        )
    if bad := _CONTROL.search(text):
        raise InputError(f"the {field} holds the control character U+{ord(bad[0]):04X}; remove it", field)


def _start_of_original(sentence: str, word: str, occurrence: int) -> int:
    starts, shown = occurrences(sentence, word), literal(shorten(word, 40))
    if not starts and not words(sentence):
        raise InputError(
            f"the sentence {sentence.strip()!r} holds no word; write one with a word to replace", "sentence"
        )
    if not starts:
        near = [w for w in words(sentence) if w.casefold() == word.casefold()]
        among = shorten(", ".join(words(sentence)), 120)
        hint = f"write it as {literal(near[0])}" if near else f"choose one of: {among}"
        raise InputError(f"the word {shown} does not stand in the sentence; {hint}", "original")
    if occurrence == 0 and len(starts) > 1:
        places = "; ".join(f"{n}: “{_context(sentence, s, word)}”" for n, s in enumerate(starts[:5], 1))
        message = f"{shown} stands {len(starts)} times in the sentence; choose the occurrence ({places})"
        raise InputError(message, "original")
    if not 0 <= occurrence <= len(starts):
        message = f"{shown} stands {len(starts)} times in the sentence, there is no occurrence {occurrence}"
        raise InputError(message, "original")
    return starts[max(occurrence, 1) - 1]


def _context(sentence: str, start: int, word: str) -> str:
    left = sentence[:start].split()[-2:]
    right = sentence[start + len(word) :].split()[:2]
    return " ".join([*left, word, *right])


def to_query(experiment: Experiment) -> dict[str, str]:
    """The address's parameters: the pair, for another server's default may be another one, and what is not default."""
    default = Experiment()
    return {
        field.name: str(getattr(experiment, field.name))
        for field in fields(Experiment)
        if getattr(experiment, field.name) != getattr(default, field.name) or field.name == "pair"
    }


def from_query(query: Mapping[str, str]) -> tuple[Experiment, list[str]]:
    """The experiment that an address spells, and a line for each parameter that could not be read.

    Addresses named no pair while there was one default: they mean the embedded pair still.
    """
    values: dict[str, Any] = {}
    complaints = []
    for field in fields(Experiment):
        text = query.get(field.name)
        if text is None:
            continue
        if field.name == "template" and text not in TEMPLATES:
            complaints.append(f"template={shorten(text, 30)} in the address is neither raw nor chat; it was ignored")
        elif field.name not in ("occurrence", "colon", "picked"):
            values[field.name] = text
        elif re.fullmatch(r"\d{1,6}", text):
            values[field.name] = int(text)
        else:
            complaints.append(f"{field.name}={shorten(text, 30)} in the address is not a whole number; it was ignored")
    return Experiment(**values), complaints
