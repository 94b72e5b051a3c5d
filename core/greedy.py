"""Greedy text, several tokens a pass: what may come next is drafted from the text itself, and the model checks it.

A rewriting repeats its sentence but for a word here and there, so the draft is what follows in the sentence, a word
replaced or left out. One pass over a draft says of each of its tokens whether the model would have written it, and what
it writes where they part: every pass settles a token at least, so there are never more passes than tokens. The tokens
are those that are written one by one, unless two lead all others by less than the rounding of a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import Cache, DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from core.linear import fast_linears
from core.models.plain import plain
from core.models.turns import take_turn
from core.passes import once
from core.recording import Recording

_LONGEST = 24  # tokens of a draft
_AHEAD = 8  # tokens that a rewriting may leave out at once
_RUN = 8  # tokens that are compared to find where a text stood before
_BREAK = -1  # no token: behind a line nothing is drafted


def greedy(
    bridge: TransformerBridge,
    ids: Sequence[int],
    room: int,
    ends: Sequence[int] = (),
    recording: Recording | None = None,
) -> Iterator[list[int]]:
    """Yield the likeliest tokens behind these, as many at a time as a pass settles, until `room` or one of `ends`.

    recording: the model's run on the ids, which then need no pass of their own. Others may run between two passes.
    """
    if not room:
        return
    model, text, end = plain(bridge), list(ids), len(ids) + room
    draft, seen, settled = Draft(_lines(bridge.tokenizer, ids)), 0, []
    cache, dtype = DynamicCache(config=model.config), model.dtype
    cache.activate_past_recording()
    if recording is not None and recording.past:
        for layer, both in enumerate(recording.past):
            cache.update(*(part.to(dtype) for part in both), layer)
        cache.crop(0)
        seen, settled = len(ids), [int(recording.next_token_logits.argmax())]
    while True:
        last = next((n for n, token in enumerate(settled, 1) if token in ends or len(text) + n == end), None)
        text += settled[:last]
        if settled:
            yield settled[:last]
        if last is not None:
            return
        for token in settled:
            draft.take(token)
        # A state that runs on (of linear attention) cannot be taken back: such models write token by token.
        guessed = draft.next(end - len(text) - 1) if cache.is_croppable else []
        take_turn(bridge)
        written = _written(model, [*text[seen:], *guessed], len(guessed) + 1, cache)
        agreed = next((n for n, (a, b) in enumerate(zip(guessed, written)) if a != b), len(guessed))
        cache.crop(agreed - len(guessed))
        seen, settled = len(text) + agreed, written[: agreed + 1]


@torch.inference_mode()
def _written(model: PreTrainedModel, new: list[int], count: int, cache: Cache) -> list[int]:
    """The likeliest token behind each of the last `count` of these, which follow what the cache holds."""
    ids = torch.tensor([new], device=model.device)
    keeps = once(model, "keeps_logits", model._supports_logits_to_keep)
    last = {"logits_to_keep": count} if keeps else {}
    with fast_linears(model):
        # A bridge's own settings ask for every attention pattern.
        logits = model(ids, past_key_values=cache, use_cache=True, output_attentions=False, **last).logits
    written: list[int] = logits[0, -count:].argmax(-1).tolist()
    return written


def _lines(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> list[int]:
    """The text's lines, each as if nothing followed: a line's last token may be another one before a line break."""
    lines = [line for line in tokenizer.decode(ids, skip_special_tokens=True).splitlines() if line.strip()] or [""]
    # One at a time: a batch starts threads.
    how = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    *whole, begun = [tokenizer(line, **how).input_ids for line in lines]
    return [*(token for line in whole for token in (*line, _BREAK)), *begun]


class Draft:
    """What may come next, drafted from what stood before."""

    def __init__(self, text: list[int]):
        self._text, self._at, self._count = text, _repeated(text, 1), _LONGEST

    def next(self, most: int) -> list[int]:
        """At most so many tokens: fewer, down to none, as long as the model writes others."""
        guessed = self._text[self._at : self._at + min(most, self._count)]
        return guessed[: guessed.index(_BREAK)] if _BREAK in guessed else guessed

    def take(self, token: int) -> None:
        """What the model has written."""
        text, at = self._text, self._at
        foreseen = at < len(text) and text[at] == token
        text.append(token)
        if foreseen:
            self._at, self._count = at + 1, min(_LONGEST, 2 * self._count + 2)
            return
        self._count //= 2
        again, ahead = _repeated(text, 2), text[at : min(at + _AHEAD, len(text) - 1)]
        if again < len(text) or not ahead:
            self._at = again
        else:
            # Some tokens were left out, or one was replaced.
            self._at = at + 1 + (ahead.index(token) if token in ahead else 0)


def _repeated(text: Sequence[int], least: int) -> int:
    """Behind the longest run of tokens, `least` or more, that stood before as it ends the text; else the text's end."""
    last, longest, place = len(text) - 1, least - 1, len(text)
    for i in range(last - 1, -1, -1):
        run = 0
        while run < _RUN and run <= i and text[i - run] == text[last - run]:
            run += 1
        if run > longest:
            longest, place = run, i + 1
    return place
