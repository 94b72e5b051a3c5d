"""A prompt's text alone, in both models' ids: for questions that ask neither about its candidates nor about roles.

What they do not look at cannot be refused: an answer of two tokens is no fault of a continuation.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from core.experiment import Experiment, text_alone
from core.models.loading import LoadedPair
from core.prompt import MAX_TOKENS, Reading, check_length, check_same_ids
from core.recording import Recording
from core.runs import check_context, check_template
from core.template import first_special, in_chat
from core.tokens import encode, token_strings


@dataclass(frozen=True, eq=False)
class TextRuns:
    """A prompt's text and what both models did on it, as (BASE, INSTRUCT)."""

    prompt: Reading
    recordings: tuple[Recording, Recording]


def read_text(experiment: Experiment, pair: LoadedPair, max_tokens: int = MAX_TOKENS) -> Reading:
    """The text in both models' ids, which must agree."""
    check_template(experiment, pair)
    base, instruct = (_read(experiment, b.tokenizer, pair, max_tokens) for b in (pair.base, pair.instruct))
    check_same_ids(base, instruct)
    check_context(len(base.ids), pair)
    return instruct


def _read(experiment: Experiment, tokenizer: PreTrainedTokenizerFast, pair: LoadedPair, max_tokens: int) -> Reading:
    text = text_alone(experiment)
    if experiment.template == "chat":
        text = in_chat(text, pair.instruct.tokenizer)
    ids, _ = encode(text.text, tokenizer, text.literal)
    check_length(experiment, len(ids), max_tokens)
    stop = first_special(text.after, tokenizer)
    return Reading(ids, token_strings(ids, tokenizer), () if stop is None else (stop,))
