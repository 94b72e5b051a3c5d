"""What can be computed and still not be what was meant: said beside the input, refused by nobody.

A refusal is an `InputError`; a caution stands beside figures that are right, of a question that may be the wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.experiment import Experiment, words
from core.function_words import is_function_word
from core.models.pairs import EMBEDDED
from core.prompt import AnsweredPrompt
from core.tiny.known import known_words, unknown_words
from core.wording import visible

_MOST_NAMED = 5


@dataclass(frozen=True)
class Caution:
    """message: one sentence, without a final full stop. field: the experiment's input that it stands beside."""

    message: str
    field: str


def cautions(experiment: Experiment, prompt: AnsweredPrompt | None = None, written: str = "") -> tuple[Caution, ...]:
    """What there is to say of an experiment that is not refused.

    prompt: its tokenized prompt, once it is there: without one an open answer is not known. written: what INSTRUCT goes
    on to write behind the prompt, as far as that is there.
    """
    answer = prompt.answer if prompt else experiment.answer
    original = prompt.original if prompt else experiment.original
    found = [*_function_words(original, answer), *_outside_a_toy(experiment)]
    if answer.strip():
        found += [*_copied(experiment, answer), *_piece(original, answer, written)]
    if experiment.is_free and prompt and prompt.roles["original"] is None:
        message = f"“{visible(original)}” stands nowhere in the prompt: nothing in it has the role original"
        found.append(Caution(message, "original"))
    return tuple(found)


def _of_answer(message: str) -> Caution:
    return Caution(f"{message}; choose another answer", "answer")


def _copied(experiment: Experiment, answer: str) -> Iterator[Caution]:
    standing = {word.casefold() for word in words(experiment.sentence)} if not experiment.is_free else set()
    if answer.strip().casefold() in standing:
        yield _of_answer(f"{_quoted(answer)} stands in the sentence already: it may be copied, not found")


def _function_words(original: str, answer: str) -> Iterator[Caution]:
    said = "{} is a function word, for which there is hardly another one"
    if is_function_word(original):
        yield Caution(f"{said.format(_quoted(original))}; choose another word", "original")
    if is_function_word(answer):
        yield _of_answer(said.format(_quoted(answer)))


def _piece(original: str, answer: str, written: str) -> Iterator[Caution]:
    """An answer is one token, which need not be a word."""
    bare, rest = answer.strip(), written.removeprefix(answer) if written.startswith(answer) else ""
    longer = next((word for word in words(bare + rest) if word.startswith(bare)), bare)
    if rest[:1].isalpha() and len(longer) > len(bare):
        yield _of_answer(f"{_quoted(bare)} is the beginning of a word: INSTRUCT goes on to “{longer}”")
    elif not rest and _begins(bare, original.strip()):
        yield _of_answer(f"{_quoted(bare)} is how {_quoted(original)} begins: it may be the same word again")
    elif original[:1].isspace() and not answer[:1].isspace():
        yield _of_answer(
            f"{_quoted(bare)} begins without the space before {_quoted(original)}: it is a piece of a word"
        )
    elif _is_word(original.strip()) and not _is_word(bare):
        yield _of_answer(f"{_quoted(bare)} is no word, as {_quoted(original)} is")


def _begins(piece: str, whole: str) -> bool:
    return len(piece) < len(whole) and whole.casefold().startswith(piece.casefold())


def _is_word(text: str) -> bool:
    return words(text) == [text] and not any(map(str.isnumeric, text))


def _outside_a_toy(experiment: Experiment) -> Iterator[Caution]:
    if experiment.pair != EMBEDDED:
        return
    for field in ("prompt",) if experiment.is_free else ("instruction", "sentence"):
        unknown = unknown_words(words(getattr(experiment, field)))
        if not unknown:
            continue
        named = ", ".join(map(_quoted, unknown[:_MOST_NAMED]))
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        yield Caution(
            f"this toy pair knows {len(known_words()):,} words and has never read {named}{more}; "
            "what it makes of the rest says little, choose a larger pair for your own text",
            field,
        )


def _quoted(word: str) -> str:
    return f"“{word.strip()}”"
