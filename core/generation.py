"""What a model goes on to write: greedy, as far as each pass settles it, or a line at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from transformer_lens.model_bridge import TransformerBridge

from core.choice import with_word
from core.experiment import Experiment, InputError, text_before_answer, words
from core.greedy import greedy
from core.models.loading import LoadedPair
from core.prompt import MAX_TOKENS, Prompt, Reading
from core.recording import Recording
from core.rewriting import Rewriting, choose_original
from core.runs import read_prompt
from core.template import first_special, in_chat
from core.tokens import encode

_LONGEST = 96  # tokens of a rewriting: those of the words among which one is chosen


def continuation(
    bridge: TransformerBridge, prompt: Prompt | Reading, max_new_tokens: int = 24, recording: Recording | None = None
) -> Iterator[str]:
    """Yield the whole text written so far after each pass, until the model's end token or the limit.

    Under a chat template the end of the turn is an end too: BASE's own tokenizer need not name it so.
    recording: the model's run on the prompt, where there is one: its first token is there without a pass.
    """
    written, decode = list(prompt.ids), bridge.tokenizer.decode
    before = decode(written, skip_special_tokens=True)
    ends = [*_end_tokens(bridge), *prompt.stops]
    for settled in greedy(bridge, prompt.ids, _room(bridge, prompt.ids, max_new_tokens), ends, recording):
        written += settled
        yield decode(written, skip_special_tokens=True)[len(before) :]


def line(
    bridge: TransformerBridge,
    ids: Sequence[int],
    stops: Sequence[int] = (),
    max_new_tokens: int = 24,
    checkpoint: Callable[[], None] = lambda: None,
) -> tuple[str, bool]:
    """The first line that is written after a prompt, and whether it came to its end within the limit.

    checkpoint: called between passes.
    """
    room, ends = _room(bridge, ids, max_new_tokens), [*_end_tokens(bridge), *stops]
    written, decode = list(ids), bridge.tokenizer.decode
    before, text = decode(written, skip_special_tokens=True), ""
    for settled in greedy(bridge, ids, room, ends):
        checkpoint()
        written += settled
        text = decode(written, skip_special_tokens=True)[len(before) :].lstrip()
        if "\n" in text:
            break
    first, *more = text.split("\n", 1)
    return first.rstrip(), bool(more) or (len(written) > len(ids) and written[-1] in ends)


def rewrite(
    experiment: Experiment,
    pair: LoadedPair,
    max_tokens: int = MAX_TOKENS,
    publish: Callable[[Rewriting], None] = lambda first: None,
    checkpoint: Callable[[], None] = lambda: None,
) -> Rewriting:
    """INSTRUCT's rewriting of the sentence, and the word that it changes, whatever the experiment's own word is.

    publish: gets what is known before INSTRUCT has written. Raises the `InputError` that every word would raise.
    """
    ids, stops = _before_answer(experiment, pair)

    def about(index: int, replacement: str = "") -> Experiment:
        # Roles of another sentence must not refuse this one's words.
        return replace(with_word(experiment, index, replacement), colon=0, picked=None)

    def fits(index: int, replacement: str) -> bool:
        try:
            read_prompt(about(index, replacement), pair, max_tokens)
        except InputError as error:
            if error.field in ("original", "answer"):
                return False
            raise
        return True

    first = choose_original(experiment.sentence, experiment.sentence, fits)
    if first is None:
        # The first word is refused as every other one is.
        read_prompt(about(0), pair, max_tokens)
        raise AssertionError("a word was refused, and then was not")
    publish(replace(first, written=""))
    written, finished = line(pair.instruct, ids, stops, min(len(ids), _LONGEST), checkpoint)
    return choose_original(experiment.sentence, written, fits, finished) or first


def _before_answer(experiment: Experiment, pair: LoadedPair) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids of the prompt before any word is chosen, and what ends a turn behind it."""
    text, tokenizer = text_before_answer(experiment), pair.instruct.tokenizer
    if not words(experiment.sentence):
        raise InputError("the sentence has no word that could be replaced; write one", "sentence")
    if experiment.template == "chat":
        text = in_chat(text, tokenizer)
    ids, _ = encode(text.text, tokenizer, text.literal)
    stop = first_special(text.after, tokenizer)
    return ids, () if stop is None else (stop,)


def _room(bridge: TransformerBridge, ids: Sequence[int], max_new_tokens: int) -> int:
    return max(0, min(max_new_tokens, int(bridge.cfg.n_ctx) - len(ids)))


def _end_tokens(bridge: TransformerBridge) -> list[int]:
    """What ends the model's text by its own configuration, else by its tokenizer's."""
    named = getattr(bridge.cfg, "eos_token_id", None)
    named = bridge.tokenizer.eos_token_id if named is None else named
    return [] if named is None else [named] if isinstance(named, int) else list(named)
