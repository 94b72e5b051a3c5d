"""Explore, of A and B: how far apart BASE and INSTRUCT are in each."""

from __future__ import annotations

from core import compared, definitions, findings
from core.charts.compared import gap_axis, gap_beside, gap_span, gap_values
from pages.shared import comparing, stage
from pages.shared.comparing import Both
from pages.shared.figures import figure, figures
from pages.shared.headings import heading


def show(both: Both) -> None:
    a, b = overviews = both.overviews
    heading("How far apart are BASE and INSTRUCT, in A and in B?")
    if not comparing.ready(both, *overviews):
        return
    first, second = (answer.result.summary for answer in overviews)
    said = [findings.of_models(o.result.summary, o.result.prompt.answer, o.result.prompt.original) for o in overviews]
    comparing.findings([a], [b], [*said, compared.of_models(first, second)], definitions.LOGIT_DIFF)
    values = gap_values(first, second)
    span = stage.steady("compared logit differences", gap_span(values), axis=gap_axis)
    with figures(b, a, key="compared"):
        figure(
            gap_beside(values, comparing.titles(a, b), comparing.size(), span),
            "compared_summary",
            "Right of 0 a model prefers the answer; all three on one axis.",
            definitions.LOGIT_DIFF,
            comparing.table(both, (first.to_frame(), second.to_frame()), by=("model",)),
            of=comparing.of(both),
        )
