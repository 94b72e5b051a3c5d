"""A chat template around the prompt: INSTRUCT's own, put around the same text for both models.

`{instruction}: {sentence}` is the user's turn, `Rephrased sentence: {prefix}` the begun answer, which the model goes on
with: no end of turn stands behind it. No system message is given; where the template writes one of its own accord, it
stays. A date that the template asks for is always 26 July 2024 (what Llama's templates fall back to): a link must give
the same numbers tomorrow.

What was typed stays text: a special token's name ("<|im_end|>") in the sentence is its letters, the same name written
by the template is the token. BOS stands once: the template's, else the tokenizer's own where it puts one before a text.
Roles are found in the templated text: `original` in the user's turn, `end` behind the begun answer, and a `colon` is
one of the user's turn or of the begun answer, never of what the template writes, so that the first and the second colon
are the same two as without a template.

Templates come with a model and are run by transformers in Jinja's sandbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from core.experiment import SEAM, InputError, PromptText, shorten

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Spans = Sequence[tuple[int, int]]
Encoded = tuple[list[int], list[tuple[int, int]]]

# No letters, which a template could change without changing what anybody types.
_USER, _ANSWER = "\ue000\ue001", "\ue002\ue003"
_DATE = {"%d": "26", "%m": "07", "%b": "Jul", "%B": "July", "%Y": "2024", "%y": "24", "%a": "Fri", "%A": "Friday"}
_DATE |= {"%H": "00", "%M": "00", "%S": "00", "%-d": "26", "%e": "26", "%-m": "7"}
_REMEDY = "choose the template raw"


def has_template(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether the tokenizer has a chat template at all."""
    return bool(getattr(tokenizer, "chat_template", None))


def missing(name: str) -> InputError:
    """The refusal of a chat without a template; name: whose is missing."""
    return InputError(f"template missing: {name} has no chat template; {_REMEDY}, or another pair", "template")


def in_chat(text: PromptText, tokenizer: PreTrainedTokenizerFast) -> PromptText:
    """The prompt inside this tokenizer's chat template, or an `InputError` that says why it has no place there."""
    assert text.begun is not None, "a free prompt has no turns"
    if not has_template(tokenizer):
        raise missing("INSTRUCT's tokenizer")
    user, answer = text.text[: text.begun].removesuffix(SEAM), text.text[text.begun :]
    head, middle = _around(tokenizer)
    whole = head + user + middle + answer
    finished = _render(tokenizer, user, answer, begun=False)
    if _render(tokenizer, user, answer) != whole:
        raise InputError(
            f"INSTRUCT's chat template changes the text of a turn (“{shorten(user, 40)}”), so that no position could "
            f"be found in it; {_REMEDY}",
            "template",
        )
    start = len(head) + len(user) + len(middle)
    return replace(
        text,
        text=whole,
        original_end=None if text.original_end is None else len(head) + text.original_end,
        begun=start,
        literal=((len(head), len(head) + len(user)), (start, len(whole))),
        after=finished[len(whole) :] if finished.startswith(whole) else "",
    )


def _around(tokenizer: PreTrainedTokenizerFast) -> tuple[str, str]:
    """What the template writes before the user's turn and between it and the begun answer."""
    rendered = _render(tokenizer, _USER, _ANSWER)
    if rendered.count(_USER) != 1 or rendered.count(_ANSWER) != 1 or rendered.index(_USER) > rendered.index(_ANSWER):
        raise InputError(f"INSTRUCT's chat template does not write each turn once, in its order; {_REMEDY}", "template")
    head, rest = rendered.split(_USER)
    return head, rest.split(_ANSWER)[0]


def _render(tokenizer: PreTrainedTokenizerFast, user: str, answer: str, begun: bool = True) -> str:
    """The template's text up to the end of the begun answer; begun=False: to the end of a finished one."""
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    try:
        template = _dated(tokenizer.get_chat_template())
        text: str = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, continue_final_message=begun
        )
    except Exception as error:  # a template raises what it likes
        raise InputError(
            f"INSTRUCT's chat template refuses the prompt: {shorten(str(error), 120)}; {_REMEDY}", "template"
        ) from error
    return text


def _dated(template: str) -> str:
    """The template with a date that stands still."""
    if "strftime_now" not in template:
        return template
    fixed = "".join(f"|replace({code!r}, {value!r})" for code, value in _DATE.items())
    # The line break after a block is dropped, so that the template itself begins on a line of its own.
    return f"{{% macro strftime_now(format) %}}{{{{ format{fixed} }}}}{{% endmacro %}}\n{template}"


def encode_around(text: str, tokenizer: PreTrainedTokenizerFast, typed: Spans) -> Encoded:
    """Ids and each token's (start, end) in a text of which the parts `typed` are literal; no BOS is added.

    In one piece, as transformers encodes a chat, unless a special token's name was typed: then the stretch between the
    template's own special tokens in which it stands is encoded once more, as text.
    """
    ids, offsets = _encode(text, tokenizer, literal=False)
    control = _control_ids(ids, offsets, tokenizer, typed)
    special = [n for n, i in enumerate(ids) if i in control]
    if not any(_overlap(offsets[n], typed) for n in special):
        return ids, offsets
    own = [n for n in special if not _overlap(offsets[n], typed)]
    found: Encoded = ([], [])
    for first, last in zip([-1, *own], [*own, len(ids)]):
        if first >= 0:
            _extend(found, [ids[first]], [offsets[first]])
        inside = range(first + 1, last)
        if control.isdisjoint(ids[n] for n in inside):
            _extend(found, ids[first + 1 : last], offsets[first + 1 : last])
            continue
        start = offsets[first][1] if first >= 0 else 0
        stop = offsets[last][0] if last < len(ids) else len(text)
        _extend(found, *_literal(text[start:stop], start, tokenizer, control, ids[first] if first >= 0 else None))
    return found


def first_special(text: str, tokenizer: PreTrainedTokenizerFast) -> int | None:
    """The id of the first special token in what a template writes; None without one."""
    if not text:
        return None
    ids, _ = _encode(text, tokenizer, literal=False)
    added = tokenizer.added_tokens_decoder
    return next((i for i in ids if i in added and not added[i].content.isspace()), None)


def _control_ids(ids: list[int], offsets: Spans, tokenizer: PreTrainedTokenizerFast, typed: Spans) -> set[int]:
    """Special tokens, and what the template itself writes as a token of its own (some mark theirs as not special)."""
    added = tokenizer.added_tokens_decoder
    written = {i for i, place in zip(ids, offsets) if i in added and not _overlap(place, typed)}
    # Runs of blanks are tokens of some tokenizers' own (Gemma), and mean no more than themselves.
    return {i for i, token in added.items() if token.special} | {i for i in written if not added[i].content.isspace()}


def _literal(
    piece: str, start: int, tokenizer: PreTrainedTokenizerFast, control: set[int], before: int | None
) -> Encoded:
    """A stretch of the text behind the special token `before`, its special tokens' names read as text."""
    lead = "" if before is None or _begins_alike(tokenizer, before) else "\n"
    ids, offsets = _encode(lead + piece, tokenizer, literal=True)
    # Behind a line break no blank is put before the text, as none is behind a special token.
    skip = len(_encode(lead, tokenizer, literal=True)[0]) if lead else 0
    if not control.isdisjoint(ids) or any(place[0] < len(lead) for place in offsets[skip:]):
        names = ", ".join(repr(tokenizer.convert_ids_to_tokens(i)) for i in ids if i in control) or repr(piece[:40])
        raise InputError(
            f"{names} is a token of the chat template and cannot be read as text here; take it out of the sentence, or "
            f"{_REMEDY}",
            "sentence",
        )
    shift = start - len(lead)
    return ids[skip:], [(a + shift, b + shift) for a, b in offsets[skip:]]


def _begins_alike(tokenizer: PreTrainedTokenizerFast, before: int) -> bool:
    """Whether a text is read behind a special token as it is alone (some tokenizers put a blank before the first)."""
    name = tokenizer.convert_ids_to_tokens(before)
    alone, behind = (_encode(text, tokenizer, literal=False)[0] for text in ("a", f"{name}a"))
    return behind[1:] == alone


def _encode(text: str, tokenizer: PreTrainedTokenizerFast, literal: bool) -> Encoded:
    encoded = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=literal, verbose=False
    )
    return list(encoded["input_ids"]), list(encoded["offset_mapping"])


def _extend(found: Encoded, ids: list[int], offsets: list[tuple[int, int]]) -> None:
    found[0].extend(ids)
    found[1].extend(offsets)


def _overlap(place: tuple[int, int], spans: Spans) -> bool:
    return any(max(start, place[0]) < min(stop, place[1]) for start, stop in spans)
