"""Explore: what both models say next, and how far apart they are."""

from functools import partial

from core import definitions
from core.charts.tokens import logit_difference_axis, logit_difference_bars, logit_difference_span, top_tokens
from pages.explore import parts
from pages.shared import stage
from pages.shared.asking import ask
from pages.shared.drawn import drawn
from pages.shared.figures import figure, figures

overview = ask("overview")
with figures(overview, key="overview"):
    parts.headline(overview.result)
    if overview.result is None:
        parts.text_only()
    else:
        writing = None if stage.on() else parts.goes_on(overview.result)
        prompt, summary = overview.result.prompt, overview.result.summary
        span = stage.steady("logit difference", logit_difference_span(summary), axis=logit_difference_axis)
        figure(
            drawn(logit_difference_bars, summary, prompt.answer, prompt.original, stage.size(), span),
            "summary",
            parts.gap_reading(prompt, summary),
            definitions.LOGIT_DIFF,
            summary.to_frame,
        )
        if writing is not None:
            figure(
                drawn(top_tokens, summary, prompt.answer, prompt.original),
                "top_tokens",
                "What each model would write next, most likely first; the two candidates are marked.",
                definitions.TOP_TOKENS,
                partial(parts.top_table, summary),
            )
            parts.tokens(prompt)
if overview.result is not None and writing is not None:
    parts.continuations(overview, writing)
