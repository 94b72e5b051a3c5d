"""Tokens in context: the prompt's ids, the roles of its positions, and one id for each candidate.

A candidate's ids are those of prompt + candidate minus those of the prompt, which must be their prefix: a
SentencePiece tokenizer that adds a prefix space cuts " big" alone in two, in context in one. A candidate of
several tokens is refused with its pieces, never silently cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from core.experiment import Experiment, InputError, PromptText, prompt_text, shorten
from core.template import Spans, first_special, in_chat
from core.tokens import PARTS, encode, leading_bos, pieces, token_strings
from core.wording import literal

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MAX_TOKENS = 512
_SHOWN = 6  # pieces of a candidate that are named


@dataclass(frozen=True)
class Prompt:
    """A tokenized prompt.

    ids: token ids, BOS first where the tokenizer adds one.
    tokens: the same as strings, a leading space kept; they concatenate to the text where a token is whole characters.
    roles: role → position, or None where the prompt has no such token. Keys: bos, first, original, colon, end, picked;
    first is position 0, the attention sink, whether or not it is a BOS.
    colons: every position whose token contains ":", under a chat template of the two turns alone.
    answer: exact string of the answer, None while it is open; answer_id likewise. See `AnsweredPrompt`.
    stops: the token that ends a turn under a chat template, where what is written on ends.
    """

    text: str
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    roles: dict[str, int | None]
    colons: tuple[int, ...]
    original: str
    original_id: int
    answer: str | None
    answer_id: int | None
    stops: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        return len(self.ids) - 1


@dataclass(frozen=True)
class Reading:
    """What a model reads of a prompt, whatever its candidates and roles; see `core.reading`. Fields as in `Prompt`."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    stops: tuple[int, ...]


@dataclass(frozen=True)
class AnsweredPrompt(Prompt):
    """A prompt whose answer is set: what every analysis of a logit difference takes."""

    answer: str
    answer_id: int


def tokenize(
    experiment: Experiment,
    tokenizer: PreTrainedTokenizerFast,
    max_tokens: int = MAX_TOKENS,
    template_of: PreTrainedTokenizerFast | None = None,
) -> Prompt:
    """The experiment's prompt in a (fast, Hugging Face) tokenizer's ids, or an `InputError`.

    An `AnsweredPrompt` where the experiment names an answer.
    template_of: the tokenizer whose chat template is used where the experiment wants one, INSTRUCT's for both models;
    by default the tokenizer's own.
    """
    text = prompt_text(experiment)
    if experiment.template == "chat":
        text = in_chat(text, template_of or tokenizer)
    ids, offsets = encode(text.text, tokenizer, text.literal)
    check_length(experiment, len(ids), max_tokens)
    original_id = candidate_id(text, text.original, "original", tokenizer)
    tokens = token_strings(ids, tokenizer)
    colons = tuple(i for i, token in enumerate(tokens) if ":" in token and _is_typed(text, offsets[i]))
    roles = _roles(experiment, text, ids, offsets, colons, original_id, _has_bos(ids, tokenizer))
    stop = first_special(text.after, tokenizer)
    stops = () if stop is None else (stop,)
    prompt = Prompt(text.text, ids, tokens, roles, colons, text.original, original_id, None, None, stops)
    if text.answer is None:
        return prompt
    answer_id = candidate_id(text, text.answer, "answer", tokenizer)
    if answer_id == original_id:
        raise InputError(
            f"{literal(text.answer)} and {literal(text.original)} are the same token; choose another answer", "answer"
        )
    return _answered(prompt, text.answer, answer_id)


def candidate_id(text: PromptText, candidate: str, field: str, tokenizer: PreTrainedTokenizerFast) -> int:
    """The one token id of a candidate after the prompt, or an `InputError` that shows its pieces."""
    shown = literal(candidate if len(candidate) <= 60 else candidate[:59] + "…")
    typed, whole = text.literal, text.text + candidate
    before, _ = encode(text.text, tokenizer, typed)
    after, _ = encode(whole, tokenizer, typed if isinstance(typed, bool) else _up_to(typed, len(whole)))
    if after[: len(before)] != before:
        n = next(i for i, (a, b) in enumerate(zip(before, after + (-1,) * len(before))) if a != b)
        was, now = (_listed(ids[n:], tokenizer) for ids in (before, after))
        raise InputError(
            f"the {field} {shown} merges with the end of the prompt: {was} becomes {now}; "
            "end the prompt before a space and begin the candidate with one",
            field,
        )
    ids = after[len(before) :]
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise InputError(f"the {field} {shown} adds no token to the prompt; write a word", field)
    (first, tokens), *more = pieces(ids, tokenizer)
    # Only what would pass: a blank, a piece of a character, or a word that is not in the sentence would not.
    passes = first.strip() and tokens == 1 and (field == "answer" or not typed)
    remedy = f"choose a word of one token{f', for example its first piece {literal(first)}' if passes else ''}"
    if typed and field == "original" and any(n > 1 for _, n in [(first, tokens), *more]):
        remedy += ", or write a free prompt (in the settings), where any one token can be the original"
    if typed is False and first == " " and [n for _, n in more] == [1]:
        remedy = "end the prompt with that space, and leave it off here"
    raise InputError(f"the {field} {shown} is {len(ids):,} tokens: {_listed(ids, tokenizer)}; {remedy}", field)


def _up_to(spans: Spans, end: int) -> Spans:
    """The last span made longer: a candidate stands in the begun answer."""
    return (*spans[:-1], (spans[-1][0], end))


def _is_typed(text: PromptText, place: tuple[int, int]) -> bool:
    """Whether a token with ":" has it from what was typed; what a chat template writes has no role."""
    if isinstance(text.literal, bool):
        return True
    return any(":" in text.text[max(start, place[0]) : min(stop, place[1])] for start, stop in text.literal)


def _listed(ids: Sequence[int], tokenizer: PreTrainedTokenizerFast) -> str:
    """The first of them, as they read."""
    found = pieces(ids[: _SHOWN * PARTS], tokenizer)[:_SHOWN]
    if len(found) == 1 and len(ids) > 1:
        return "parts of one character"
    shown = ", ".join(literal(text) if n == 1 else f"{literal(text)} ({n} tokens)" for text, n in found)
    return shown if sum(n for _, n in found) == len(ids) else f"{shown}, …"


def check_length(experiment: Experiment, count: int, limit: int) -> None:
    if count > limit:
        parts = ("prompt",) if experiment.is_free else ("sentence", "instruction")
        field = max(parts, key=lambda name: len(getattr(experiment, name)))
        raise InputError(
            f"the prompt is {count:,} tokens long (“{shorten(getattr(experiment, field), 40)}”); "
            f"at most {limit:,} can be analysed: shorten the {field}",
            field,
        )


def _has_bos(ids: tuple[int, ...], tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether position 0 is a BOS. Where none is put before a text, what opens every turn of a chat is none either."""
    bos = tokenizer.bos_token_id
    return bos is not None and ids[0] == bos and (ids.count(bos) == 1 or leading_bos(tokenizer) is not None)


def _roles(
    experiment: Experiment,
    text: PromptText,
    ids: tuple[int, ...],
    offsets: Sequence[tuple[int, int]],
    colons: tuple[int, ...],
    original_id: int,
    has_bos: bool,
) -> dict[str, int | None]:
    end = len(ids) - 1
    if text.original_end is None:
        original = max((i for i, token in enumerate(ids) if token == original_id), default=None)
    else:
        last = text.original_end - 1
        original = max(i for i, (start, stop) in enumerate(offsets) if start <= last < stop)
    if colons and experiment.colon >= len(colons):
        raise InputError(
            f"the prompt has {len(colons)} tokens with “:”, there is no number {experiment.colon}; choose 0 to "
            f"{len(colons) - 1}",
            "colon",
        )
    if experiment.picked is not None and not 0 <= experiment.picked <= end:
        where = f"position {experiment.picked}, counted from 0, is outside the prompt"
        raise InputError(f"{where}; choose 0 to {end}", "picked")
    return {
        "bos": 0 if has_bos else None,
        "first": 0,
        "original": original,
        "colon": colons[experiment.colon] if colons else None,
        "end": end,
        "picked": experiment.picked,
    }


def role_names(roles: Mapping[str, int | None], position: int) -> list[str]:
    """The roles of a position, for a label: `first` is left out where it is the BOS, which says more."""
    names = [role for role, at in roles.items() if at == position]
    return [role for role in names if role != "first" or "bos" not in names]


def with_answer(prompt: Prompt, answer_id: int, tokenizer: PreTrainedTokenizerFast) -> AnsweredPrompt:
    """The prompt with its open answer set to a token id."""
    return _answered(prompt, token_strings([answer_id], tokenizer)[0], answer_id)


def _answered(prompt: Prompt, answer: str, answer_id: int) -> AnsweredPrompt:
    named = {field.name: getattr(prompt, field.name) for field in fields(Prompt)}
    return AnsweredPrompt(**{**named, "answer": answer, "answer_id": answer_id})


def check_same_ids(base: Prompt | Reading, instruct: Prompt | Reading) -> None:
    """Refuse two models that read the prompt as different ids, naming the first that differs."""
    if base.ids != instruct.ids:
        n = next(
            (i for i, (a, b) in enumerate(zip(base.ids, instruct.ids)) if a != b), min(len(base.ids), len(instruct.ids))
        )
        raise InputError(
            f"the two tokenizers read the prompt differently, first at token {n + 1}: {_at(base, n)} in BASE, "
            f"{_at(instruct, n)} in INSTRUCT; the models cannot be compared on it",
            "pair",
        )


def check_same_tokens(base: Prompt, instruct: Prompt) -> None:
    """The same for the prompt and its candidates."""
    check_same_ids(base, instruct)
    for name in ("original", "answer"):
        a, b = getattr(base, f"{name}_id"), getattr(instruct, f"{name}_id")
        if a != b:
            raise InputError(f"the {name} {getattr(base, name)!r} is token {a} in BASE and {b} in INSTRUCT", "pair")


def check_same_answer(prompt: AnsweredPrompt, base_tokenizer: PreTrainedTokenizerFast, base_vocab: int) -> None:
    """Refuse an answer that was INSTRUCT's suggestion and is no token, or another one, of BASE."""
    i = prompt.answer_id
    read = token_strings([i], base_tokenizer)[0] if i < base_vocab else None
    if read != prompt.answer:
        raise InputError(
            f"INSTRUCT suggests {prompt.answer!r} (id {i}), which BASE reads as {repr(read) if read else 'no token'}; "
            "type another answer, or choose a model and its own fine-tune",
            "answer",
        )


def _at(prompt: Prompt | Reading, n: int) -> str:
    return f"{prompt.tokens[n]!r} (id {prompt.ids[n]})" if n < len(prompt.ids) else "nothing"
