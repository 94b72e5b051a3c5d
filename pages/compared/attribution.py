"""Attribution, of A and B: what attention and MLP of every layer write in each."""

from __future__ import annotations

import numpy as np

from core import compared, definitions, findings
from core.charts import theme
from core.charts.attribution import layer_span
from core.charts.compared import layers_beside
from core.comparison import other_shape
from core.results import Attribution
from pages.attribution.parts import layer_table
from pages.shared import comparing, stage, state
from pages.shared.comparing import Both
from pages.shared.figures import figure, figures
from pages.shared.headings import heading


def show(both: Both) -> None:
    a, b = answers = both.ask("attribution", projection=state.view("project"))
    heading("Where is the logit difference written, in A and in B?")
    if not comparing.ready(both, *both.overviews, *answers):
        return
    found = [answer.result for answer in answers]
    said = [*map(findings.of_attribution, found), compared.of_attribution(a.result, b.result)]
    comparing.findings([a], [b], said, definitions.ATTRIBUTION)
    columns = _columns(a.result, b.result)
    panels = dict(zip(comparing.titles(*both.overviews), columns))
    rows = [values for column in columns for values in column.values()]
    span = stage.steady("compared layer attribution", layer_span(*rows))
    no_difference = other_shape(a.result.head.shape[1:], b.result.head.shape[1:])
    with figures(b, a, key="compared"):
        figure(
            layers_beside(panels, "Direct logit attribution by layer", theme.LOGITS, span, size=comparing.size()),
            "compared_layer_attribution",
            comparing.reading("Above 0 towards the answer; all panels on one axis.", no_difference),
            definitions.ATTRIBUTION,
            comparing.table(both, (layer_table(a.result), layer_table(b.result)), ("model", "component", "layer")),
            of=comparing.of(both),
        )


def _columns(a: Attribution, b: Attribution) -> list[dict[str, np.ndarray]]:
    """Attention and MLP of A, of B, and where they have as many layers, B − A."""
    rows = [{"attention": found.attn, "MLP": found.mlp} for found in (a, b)]
    if a.attn.shape == b.attn.shape:
        rows.append({name: rows[1][name] - rows[0][name] for name in rows[0]})
    return rows
