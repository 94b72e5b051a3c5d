"""Questions of attention and of one head, in the worker's thread: all but the patches are read off recorded runs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cache.questions.work import Work
from core.attention_results import Attention, Patterns
from core.head.results import HeadPatches, HeadReport, HeadScores, OvInput
from core.results import Projection

if TYPE_CHECKING:
    from core.models.loading import LoadedPair

# Scores on random tokens depend on no prompt: once a resident pair. Read and written in the worker's thread only.
_scores: WeakKeyDictionary[LoadedPair, HeadScores] = WeakKeyDictionary()


def attention(work: Work, projection: Projection = "own") -> Attention:
    from core.attention import attend

    return attend(work.runs.recordings, work.runs.prompt, projection)


def pattern(work: Work, layer: int, head: int) -> Patterns:
    """One head's pattern: a question of its own, so that the last good one is never another list of heads."""
    return patterns(work, ((layer, head),))


def patterns(work: Work, heads: tuple[tuple[int, int], ...]) -> Patterns:
    from core.attention import patterns

    texts = work.read()
    return patterns(texts.recordings, heads, texts.prompt)


def layer_patterns(work: Work, layer: int) -> Patterns:
    return patterns(work, tuple((layer, head) for head in range(work.pair.base.cfg.n_heads)))


def head(work: Work, layer: int, head: int, source: str, ov_input: OvInput) -> HeadReport:
    """source: a role, or a position in digits; END where the prompt has no such token."""
    from core.head.report import examine

    prompt = work.runs.prompt
    position = int(source) if source.isdecimal() else prompt.roles.get(source)
    if position is None or position >= len(prompt.ids):
        position = prompt.end
    return examine(work.runs.recordings, work.runs.prompt, layer, head, position, ov_input)


def head_scores(work: Work) -> HeadScores:
    if work.pair not in _scores:
        from core.head.scores import score_heads

        work.ctx.progress(0, 0, "running both models on random repeated tokens")
        _scores[work.pair] = score_heads((work.pair.base, work.pair.instruct))
    return _scores[work.pair]


def head_patches(work: Work, layer: int, head: int) -> tuple[HeadPatches, HeadPatches]:
    """One head's patches in both directions, INSTRUCT → BASE first."""
    from core.head.patches import patch_head
    from core.patching.plan import DIRECTIONS

    found = []
    for n, direction in enumerate(DIRECTIONS):
        work.ctx.progress(n, len(DIRECTIONS), f"patches of L{layer}H{head}")
        stop, between = work.ctx.stop_if_unwanted, work.ctx.checkpoint
        found.append(patch_head(work.runs.recordings, work.runs.prompt, layer, head, direction, stop, between))
    return found[0], found[1]
