"""Which word of a sentence INSTRUCT would change: asked before any word is chosen, in the worker's thread."""

from __future__ import annotations

from cache.questions.work import Work
from core.rewriting import Rewriting


def rewriting(work: Work) -> Rewriting:
    """What is published first is the choice without INSTRUCT's rewriting, which stands until that is written."""
    from core.generation import rewrite

    work.ctx.progress(0, 0, "INSTRUCT rewrites the sentence")
    return rewrite(work.experiment, work.pair, work.max_tokens, work.ctx.publish, work.ctx.stop_if_unwanted)
