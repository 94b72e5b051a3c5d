"""Head, of A and B: what one head attends to in each."""

from __future__ import annotations

import numpy as np

from core import compared, definitions
from core.charts.compared import TokenRow, token_span, tokens_below
from core.head.results import HeadReport
from core.head.sentence import head_in_brief
from pages.shared import comparing, heads, stage, state
from pages.shared.asking import Answer
from pages.shared.comparing import Both
from pages.shared.figures import figure, figures
from pages.shared.headings import heading


def show(both: Both) -> None:
    attentions = both.ask("attention")
    if not comparing.ready(both, *both.overviews, *attentions):
        return
    places = _places(both, attentions)
    names = list(dict.fromkeys(place.name for place in places))
    heading(f"What does {' in A, '.join(names)} do in {'A and in ' if len(names) == 1 else ''}B?")
    a, b = answers = [
        each.ask("head", layer=head.place[0], head=head.place[1], source=_source(answer), ov_input="recorded")
        for each, head, answer in zip((both.a, both.b), places, attentions)
    ]
    if not comparing.ready(both, *answers):
        return
    reports = [answer.result for answer in answers]
    said = [*map(head_in_brief, reports), compared.of_head(reports[0], reports[1])]
    comparing.findings([a], [b], said, definitions.ATTENTION)
    with figures(b, a, key="compared"):
        _attended(both, reports)
    if not stage.on():
        heads.picker(attentions[1].result.weight.shape[1:3], places[1].place)


def _places(both: Both, attentions: tuple[Answer, Answer]) -> list[heads.Chosen]:
    """The chosen head in both; where A's models lack it, the one whose attention fine-tuning has changed most."""
    chosen = heads.chosen_in(attentions[1].result)
    a = attentions[0].result
    layers, count = a.weight.shape[1:3]
    if chosen.place[0] < layers and chosen.place[1] < count:
        return [heads.Chosen(chosen.place), chosen]
    return [heads.most_different(a), chosen]


def _source(attention: Answer) -> str:
    role = state.view("source")
    return role if role in attention.result.roles else heads.followed(attention.result)[0]


def _attended(both: Both, reports: list[HeadReport]) -> None:
    titles = comparing.titles(*both.overviews)
    rows = [TokenRow(name, report.weight, report.tokens) for name, report in zip("AB", reports)]
    counts = [len(report.tokens) for report in reports]
    no_difference = ""
    if counts[0] == counts[1]:
        joined = rows[1].values - rows[0].values
        rows.append(TokenRow("B − A", np.asarray(joined), reports[1].tokens))
    else:
        no_difference = (
            f"A has {counts[0]} tokens, B {counts[1]}: there is no B − A of positions without a counterpart."
        )
    span = stage.steady("compared attention from END", token_span(rows))
    named = " and ".join(dict.fromkeys(report.name for report in reports))
    fig = tokens_below(rows, f"{named}: attention from END ({'; '.join(titles[:2])})", comparing.size(), span)
    read = comparing.reading("The bars of one model sum to 1 in A and in B.", no_difference)
    table = comparing.table(both, (reports[0].to_frame(), reports[1].to_frame()), by=("model", "position"))
    of = {**comparing.of(both), **heads.of((reports[1].layer, reports[1].head))}
    figure(fig, "compared_head_attention", read, definitions.ATTENTION, table, of=of)
