"""What can be asked about an experiment: one function a question, run in the worker's thread.

A question gets the recorded runs and its own options and returns a frozen, torch-free result. The core is imported
inside the functions: pages import this module, and it must not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache import attention_questions as heads
from cache import patching_questions as patching
from cache import precision_questions as precision
from cache.worker import Context
from core.prompt import Prompt
from core.results import MODELS, Attribution, Summary

if TYPE_CHECKING:
    from core.models.loading import LoadedPair
    from core.runs import Runs

# A viewer's first figures go before anybody's text, and that before anybody's sweep.
FIRST, NEXT, TEXT, SWEEP = 3, 2, 1, 0
CONTINUATION_TOKENS = 24


@dataclass(frozen=True, eq=False)
class Work:
    """What a question works on: the recorded runs of a resident pair, and its line to the worker.

    seconds: wall-clock of the stages `load` and `record`, 0 where nothing had to be done.
    known: (question, **options) → what was answered before about this experiment and is still kept, or None.
    beside: dtype → a context with the same prompt's runs in that dtype, beside these; raises TooLarge at entry.
    """

    runs: Runs
    pair: LoadedPair
    ctx: Context
    seconds: dict[str, float]
    known: Callable[..., Any] = lambda question, **options: None
    beside: Callable[[str], AbstractContextManager[Runs]] | None = None


@dataclass(frozen=True)
class Overview:
    """The first answer to an experiment: its prompt with the answer set, and both models' logit difference.

    dtype, device: what ran; n_layers, n_heads, n_groups: sizes, as many KV groups as heads where nothing is grouped.
    seconds: wall-clock of the stages `load` and `record`. pair: its id; has_template: whether INSTRUCT's tokenizer has
    a chat template. own_dtype: the dtype that the pair names; stored_dtype: of its weights' files, "" where unknown;
    quantization: of the weights, "" where they are not.
    """

    prompt: Prompt
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
    )


def attribution(work: Work, direction: str = "own") -> Attribution:
    from core.attribution import attribute

    return attribute(work.runs.recordings, work.runs.prompt, direction)


def continuation(work: Work, model: str) -> str:
    """What one model writes after the prompt; partial results are the text so far."""
    from core.generation import continuation

    text, bridge = "", (work.pair.base, work.pair.instruct)[MODELS.index(model)]
    for count, text in enumerate(continuation(bridge, work.runs.prompt, CONTINUATION_TOKENS), 1):
        work.ctx.progress(count, CONTINUATION_TOKENS, f"{model.upper()} writes")
        work.ctx.publish(text)
        work.ctx.checkpoint()
    return text


# question → (priority, function)
QUESTIONS: dict[str, tuple[int, Callable]] = {
    "overview": (FIRST, overview),
    "attribution": (NEXT, attribution),
    "attention": (NEXT, heads.attention),
    "pattern": (NEXT, heads.pattern),
    "patterns": (NEXT, heads.patterns),
    "layer_patterns": (NEXT, heads.layer_patterns),
    "head": (NEXT, heads.head),
    "head_scores": (NEXT, heads.head_scores),
    "head_patches": (NEXT, heads.head_patches),
    "continuation": (TEXT, continuation),
    "estimate": (NEXT, patching.estimate),
    "sweep": (SWEEP, patching.sweep),
    "position_map": (SWEEP, patching.position_map),
    "pairs": (SWEEP, patching.pairs),
    "head_set": (SWEEP, patching.head_set),
    "greedy": (SWEEP, patching.greedy),
    "stored_gap": (TEXT, precision.stored_gap),
    "recomputed": (SWEEP, precision.recomputed),
}
