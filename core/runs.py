"""Both models on one experiment: the step every analysis starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.experiment import Experiment, InputError
from core.logit_difference import suggest
from core.models.loading import LoadedPair
from core.prompt import (
    MAX_TOKENS,
    AnsweredPrompt,
    Prompt,
    Reading,
    check_same_answer,
    check_same_tokens,
    tokenize,
    with_answer,
)
from core.recording import Recording, record, record_together
from core.results import MODELS
from core.template import has_template, missing


@dataclass(frozen=True, eq=False)
class Runs:
    """A prompt and what both models did on it, as (BASE, INSTRUCT)."""

    prompt: AnsweredPrompt
    recordings: tuple[Recording, Recording]


def read_prompt(experiment: Experiment, pair: LoadedPair, max_tokens: int = MAX_TOKENS) -> Prompt:
    """The prompt in both models' ids, which must agree. The answer stays open if the experiment leaves it so."""
    check_template(experiment, pair)
    chat = pair.instruct.tokenizer
    prompts = [tokenize(experiment, bridge.tokenizer, max_tokens, chat) for bridge in (pair.base, pair.instruct)]
    check_same_tokens(*prompts)
    check_context(len(prompts[0].ids), pair)
    return prompts[1]


def record_both(prompt: Prompt | Reading, pair: LoadedPair) -> tuple[Recording, Recording]:
    """One forward pass of each model; it depends on nothing but the prompt's ids."""
    recordings = record(pair.base, prompt.ids), record(pair.instruct, prompt.ids)
    _check_finite(recordings, pair)
    return recordings


def record_every(prompts: Sequence[Prompt], pair: LoadedPair) -> list[tuple[Recording, Recording]]:
    """The same of several prompts in one forward pass of each model."""
    ids = [prompt.ids for prompt in prompts]
    every = list(zip(record_together(pair.base, ids), record_together(pair.instruct, ids)))
    for recordings in every:
        _check_finite(recordings, pair)
    return every


def _check_finite(recordings: tuple[Recording, Recording], pair: LoadedPair) -> None:
    for name, recording in zip(MODELS, recordings):
        if not recording.final_residual[-1].isfinite().all():
            raise InputError(
                f"{name.upper()} computes no finite numbers in {pair.dtype}: its weights are damaged, or too large for "
                "float16; choose float32 or bfloat16",
                "dtype",
            )


def settle(prompt: Prompt, recordings: tuple[Recording, Recording]) -> AnsweredPrompt:
    """An open answer set to INSTRUCT's top token that is not the original word."""
    if isinstance(prompt, AnsweredPrompt):
        return prompt
    found = suggest(recordings[1], prompt.original, 1)
    if not found:
        raise InputError("INSTRUCT suggests no other word here; type an answer", "answer")
    tokenizers = [recording.bridge.tokenizer for recording in recordings]
    answered = with_answer(prompt, found[0][0], tokenizers[1])
    check_same_answer(answered, tokenizers[0], recordings[0].bridge.W_U.shape[1])
    return answered


def run(experiment: Experiment, pair: LoadedPair, max_tokens: int = MAX_TOKENS) -> Runs:
    """Both models on the experiment's prompt."""
    prompt = read_prompt(experiment, pair, max_tokens)
    recordings = record_both(prompt, pair)
    return Runs(settle(prompt, recordings), recordings)


def check_template(experiment: Experiment, pair: LoadedPair) -> None:
    if experiment.template == "chat" and not has_template(pair.instruct.tokenizer):
        raise missing(repr(pair.checkpoints[1].source))


def check_context(tokens: int, pair: LoadedPair) -> None:
    limit = min(bridge.cfg.n_ctx for bridge in (pair.base, pair.instruct))
    if tokens > limit:
        raise InputError(f"the prompt is {tokens} tokens long, the models read at most {limit}: shorten it", "sentence")
