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
        writing = parts.goes_on(overview.result)
        prompt, summary = overview.result.prompt, overview.result.summary
        figure(
            logit_difference_bars(summary, prompt.answer, prompt.original),
            "summary",
            parts.gap_reading(prompt, summary),
            definitions.LOGIT_DIFF,
            summary.to_frame(),
        )
        figure(
            top_tokens(summary, prompt.answer, prompt.original),
            "top_tokens",
            "What each model would write next, most likely first; the two candidates are marked.",
            definitions.TOP_TOKENS,
            parts.top_table(summary),
        )
        parts.tokens(prompt)
if overview.result is not None:
    parts.continuations(overview, writing)
