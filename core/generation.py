"""What a model goes on to write: greedy, token by token, or a line at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import Cache, PreTrainedModel, StoppingCriteriaList

from core.choice import with_word
from core.experiment import Experiment, InputError, text_before_answer, words
from core.linear import fast_linears
from core.models.loading import LoadedPair
from core.models.plain import plain
from core.models.turns import take_turn
from core.prompt import MAX_TOKENS, Prompt, Reading, encode
from core.rewriting import Rewriting, choose_original
from core.runs import read_prompt
from core.template import first_special, in_chat

_DRAFT = 12  # tokens that are drafted at a time
_LONGEST = 96  # tokens of a rewriting: those of the words among which one is chosen


def continuation(bridge: TransformerBridge, prompt: Prompt | Reading, max_new_tokens: int = 24) -> Iterator[str]:
    """Yield the whole text written so far after each new token, until the model's end token or the limit.

    Under a chat template the end of the turn is an end too: BASE's own tokenizer need not name it so.
    """
    room = max(0, min(max_new_tokens, bridge.cfg.n_ctx - len(prompt.ids)))
    decode, ends = bridge.tokenizer.decode, {*_end_tokens(bridge), *prompt.stops}
    before, written = decode(prompt.ids, skip_special_tokens=True), list(prompt.ids)
    new, cache = list(prompt.ids), None
    for _ in range(room):
        # Others may run between two tokens.
        take_turn(bridge)
        token, cache = _next(plain(bridge), new, cache)
        written, new = [*written, token], [token]
        yield decode(written, skip_special_tokens=True)[len(before) :]
        if token in ends:
            return


@torch.no_grad()
def _next(model: PreTrainedModel, new: Sequence[int], cache: Cache | None) -> tuple[int, Cache]:
    """The likeliest token behind these, which follow what the cache holds; and what it then holds."""
    ids = torch.tensor([list(new)], device=model.device)
    # A bridge's own settings ask for every attention pattern.
    out = model(ids, past_key_values=cache, use_cache=True, output_attentions=False)
    return int(out.logits[0, -1].argmax()), out.past_key_values


@torch.no_grad()
def line(
    bridge: TransformerBridge,
    ids: Sequence[int],
    stops: Sequence[int] = (),
    max_new_tokens: int = 24,
    checkpoint: Callable[[], None] = lambda: None,
) -> tuple[str, bool]:
    """The first line that is written after a prompt, and whether it came to its end within the limit.

    The same tokens as `continuation` writes. They are drafted from the prompt, which a rewriting mostly repeats, and
    the model checks several in one pass. checkpoint: called between passes.
    """
    room = max(0, min(max_new_tokens, bridge.cfg.n_ctx - len(ids)))
    if room == 0:
        return "", False
    decode, ends = bridge.tokenizer.decode, [*_end_tokens(bridge), *stops]
    before = decode(ids, skip_special_tokens=True)

    def text(written: Tensor) -> str:
        return str(decode(written, skip_special_tokens=True))[len(before) :].lstrip()

    def at_its_end(written: Tensor, scores: object, **options: object) -> Tensor:
        checkpoint()
        return torch.tensor(["\n" in text(written[0])], device=written.device)

    take_turn(bridge)
    model = plain(bridge)
    prompt = torch.tensor([list(ids)], device=model.device)
    with fast_linears(model):
        # Some models' own settings name a penalty, which would make it another text than the likeliest.
        written = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=room, do_sample=False, temperature=None,
            repetition_penalty=1.0, eos_token_id=ends or None, pad_token_id=ends[0] if ends else None,
            output_attentions=False, return_dict_in_generate=False, prompt_lookup_num_tokens=_DRAFT,
            stopping_criteria=StoppingCriteriaList([at_its_end]),
        )[0]  # fmt: skip
    first, *more = text(written).split("\n", 1)
    return first.rstrip(), bool(more) or len(written) - len(ids) < room or int(written[-1]) in ends


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


def _end_tokens(bridge: TransformerBridge) -> list[int]:
    """What ends the model's text by its own configuration, else by its tokenizer's."""
    named = getattr(bridge.cfg, "eos_token_id", None)
    named = bridge.tokenizer.eos_token_id if named is None else named
    return [] if named is None else [named] if isinstance(named, int) else list(named)
