"""Explore: what both models say next, and how far apart they are."""

from core.charts.tokens import logit_difference_bars, top_tokens
from pages.explore import parts
from pages.shared import definitions
from pages.shared.asking import ask
from pages.shared.figures import figure, figures

overview = ask("overview")
with figures(overview, key="overview"):
    parts.headline(overview.result)
    if overview.result is None:
        parts.text_only()
    else:
        prompt, summary = overview.result.prompt, overview.result.summary
        parts.disagreement(prompt, summary)
        figure(
            logit_difference_bars(summary, prompt.answer, prompt.original),
            "summary",
            "Right of 0 a model prefers the answer, left of 0 the original. The gap is what fine-tuning moved.",
            definitions.LOGIT_DIFF,
            summary.to_frame(),
        )
        parts.tokens(prompt)
        figure(
            top_tokens(summary, prompt.answer, prompt.original),
            "top_tokens",
            "What each model would write next, most likely first; the two candidates are marked.",
            definitions.TOP_TOKENS,
            parts.top_table(summary),
        )
if overview.result is not None:
    parts.continuations(overview)
