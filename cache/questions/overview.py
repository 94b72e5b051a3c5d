"""The first questions: both models' logit difference, who writes it directly, and what each goes on to write."""

from __future__ import annotations

from dataclasses import dataclass

from cache.questions.work import Work
from core.prompt import AnsweredPrompt
from core.results import MODELS, Attribution, Depth, Projection, Summary

CONTINUATION_TOKENS = 24


@dataclass(frozen=True)
class Overview:
    """The first answer to an experiment: its prompt with the answer set, and both models' logit difference.

    dtype, device: what ran; n_layers, n_heads, n_groups: sizes, as many KV groups as heads where nothing is grouped.
    seconds: wall-clock of the stages `load` and `record`. pair: its id; has_template: whether INSTRUCT's tokenizer has
    a chat template. own_dtype: the dtype that the pair names; stored_dtype: of its weights' files, "" where unknown;
    quantization: of the weights, "" where they are not. in_turns: whether the device holds one model at a time.
    """

    prompt: AnsweredPrompt
    summary: Summary
    dtype: str
    device: str
    n_layers: int
    n_heads: int
    n_groups: int
    seconds: dict[str, float]
    pair: str
    has_template: bool
    own_dtype: str = ""
    stored_dtype: str = ""
    quantization: str = ""
    in_turns: bool = False


def overview(work: Work) -> Overview:
    from core.logit_difference import summarize
    from core.template import has_template

    runs, pair, cfg = work.runs, work.pair, work.pair.base.cfg
    groups = cfg.n_key_value_heads or cfg.n_heads
    summary = summarize(runs.recordings, runs.prompt)
    return Overview(
        prompt=runs.prompt,
        summary=summary,
        dtype=pair.dtype,
        device=pair.device,
        n_layers=cfg.n_layers,
        n_heads=cfg.n_heads,
        n_groups=groups,
        seconds=work.seconds,
        pair=pair.spec.id,
        has_template=has_template(pair.instruct.tokenizer),
        own_dtype=pair.spec.dtype,
        stored_dtype=pair.stored_dtype,
        quantization=pair.spec.quantization,
        in_turns=pair.in_turns,
    )


def attribution(work: Work, projection: Projection = "own") -> Attribution:
    from core.attribution import attribute

    return attribute(work.runs.recordings, work.runs.prompt, projection)


def depth(work: Work) -> Depth:
    from core.depth import look_through_depth

    return look_through_depth(work.runs.recordings, work.runs.prompt)


def continuation(work: Work, model: str) -> str:
    """What one model writes after the prompt; partial results are the text so far."""
    from core.generation import continuation

    text, read = "", work.read()
    recording = read.recordings[MODELS.index(model)]
    written = continuation(recording.bridge, read.prompt, CONTINUATION_TOKENS, recording)
    work.ctx.progress(0, 0, f"{model.upper()} writes")
    for text in written:
        work.ctx.publish(text)
        work.ctx.checkpoint()
    return text
