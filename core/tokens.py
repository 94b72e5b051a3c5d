"""A tokenizer's tokens: a text's ids, and what a person reads of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from core.experiment import InputError
from core.template import Spans, encode_around

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PARTS = 4  # the most tokens that one character is
_PART = "\ufffd"  # what a piece of a character decodes to
_LATEST = 16  # texts whose ids are kept: those of a prompt are asked for again and again, alone and with a candidate
Encoded = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]
# tokenizer → what was read of its tokens before, and the ids of the latest texts
_strings: WeakKeyDictionary[PreTrainedTokenizerFast, dict[int, str]] = WeakKeyDictionary()
_texts: WeakKeyDictionary[PreTrainedTokenizerFast, OrderedDict[Hashable, Encoded]] = WeakKeyDictionary()


def encode(text: str, tokenizer: PreTrainedTokenizerFast, literal: bool | Spans) -> Encoded:
    """Ids with BOS exactly once where the tokenizer adds one, and each token's (start, end) in the text.

    literal: where a special token's name typed in the text ("<s>") is text, not the token: everywhere, nowhere, or in
    parts of it, as `PromptText` has it.
    """
    known, key = _texts.setdefault(tokenizer, OrderedDict()), (text, literal)
    if key not in known:
        known[key] = _encode(text, tokenizer, literal)
    known.move_to_end(key)
    while len(known) > _LATEST:
        known.popitem(last=False)
    return known[key]


def _encode(text: str, tokenizer: PreTrainedTokenizerFast, literal: bool | Spans) -> Encoded:
    if not tokenizer.is_fast:
        raise InputError("this model's tokenizer gives no character offsets (it is not a fast tokenizer)", "pair")
    if isinstance(literal, bool):
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=literal, verbose=False
        )
        ids, offsets = list(encoded["input_ids"]), list(encoded["offset_mapping"])
    else:
        ids, offsets = encode_around(text, tokenizer, literal)
    bos = leading_bos(tokenizer)
    if bos is not None and ids[:1] != [bos]:
        ids, offsets = [bos, *ids], [(0, 0), *offsets]
    return tuple(ids), tuple(offsets)


def leading_bos(tokenizer: PreTrainedTokenizerFast) -> int | None:
    """BOS where the tokenizer puts one before a text. Qwen's and SmolLM2's put none, whatever token they name."""
    bos = tokenizer.bos_token_id
    return bos if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else None


def special_ids(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """Tokens that mean no text: those with a name of their own (BOS), and all others marked so (ends of turns)."""
    added = tokenizer.added_tokens_decoder
    return set(tokenizer.all_special_ids) | {i for i, token in added.items() if token.special}


def token_strings(ids: tuple[int, ...] | list[int], tokenizer: PreTrainedTokenizerFast) -> tuple[str, ...]:
    """Each token as it reads in the middle of a text, a leading space kept; special tokens by name.

    A token is decoded behind a fixed neighbour, since many decoders drop the first token's space.
    """
    special, known, found = special_ids(tokenizer), _strings.setdefault(tokenizer, {}), []
    for i in map(int, ids):
        if i in special:
            found.append(str(tokenizer.convert_ids_to_tokens(i)))
        else:
            if i not in known:
                known[i] = _reader(tokenizer)([i])
            found.append(known[i])
    return tuple(found)


def _reader(tokenizer: PreTrainedTokenizerFast) -> Callable[[Sequence[int]], str]:
    anchor = tokenizer("a", add_special_tokens=False)["input_ids"]
    lead = len(tokenizer.decode(anchor, clean_up_tokenization_spaces=False))
    return lambda ids: tokenizer.decode([*anchor, *map(int, ids)], clean_up_tokenization_spaces=False)[lead:]


def pieces(ids: Sequence[int], tokenizer: PreTrainedTokenizerFast) -> list[tuple[str, int]]:
    """What a person can read of tokens: the string of each, or of several that are one character only together; and how
    many tokens that is."""
    read, left = _reader(tokenizer), list(ids)
    found: list[tuple[str, int]] = []
    while left:
        whole = next((n for n in range(1, PARTS + 1) if _PART not in read(left[:n])), 1)
        found.append((read(left[:whole]), min(whole, len(left))))
        left = left[whole:]
    return found
