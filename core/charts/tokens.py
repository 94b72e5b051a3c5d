"""What the two models say next: the logit differences with their gap, and the most likely next tokens."""

from __future__ import annotations

import plotly.graph_objects as go

from core.charts import theme
from core.charts.axes import Part, axis, on, side_by_side
from core.charts.labels import escape, token_label, token_labels, with_unit
from core.results import Summary, TopTokens
from core.wording import number, percent, signed, visible, word

MODELS = ("BASE", "INSTRUCT")


def logit_difference_span(summary: Summary) -> theme.Span:
    """From end to end of the two bars, zero among them."""
    values = [float(value) for value in summary.logit_diff]
    return min(*values, 0.0), max(*values, 0.0)


def logit_difference_axis(span: theme.Span) -> theme.Span:
    """The axis of bars that span so much, with room for a number beyond the longest."""
    return theme.with_room(span, 0.16)


def logit_difference_bars(
    summary: Summary, answer: str, original: str, size: theme.SizeName = "normal", span: theme.Span | None = None
) -> go.Figure:
    """The two logit differences as bars from zero, and the gap between their ends. span: the axis's, to compare by."""
    type_ = theme.SIZES[size]
    values = [float(value) for value in summary.logit_diff]
    hover = [
        f"<b>{model}</b><br>logit[{token_label(answer)}] {number(float(a))}<br>logit[{token_label(original)}] "
        f"{number(float(o))}<br>difference {with_unit(d, theme.LOGITS)}"
        for model, a, o, d in zip(MODELS, summary.logit_answer, summary.logit_original, values)
    ]
    bars = {
        "type": "bar", "x": values, "y": [0, 1], "orientation": "h", "width": 0.6,
        "marker": {"color": [theme.BASE, theme.INSTRUCT]}, "text": [f"<b>{signed(value)}</b>" for value in values],
        "textposition": "outside", "textfont": {"size": 1.5 * type_.title}, "cliponaxis": False,
        "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    ends = span or logit_difference_axis(logit_difference_span(summary))
    gap, layout = _gap(values, type_)
    layout["xaxis"] = {
        "title": {"text": f"logit difference, {theme.LOGITS}"}, "range": list(ends),
        **theme.ZERO, "zerolinewidth": 1.5,
    }  # fmt: skip
    layout["yaxis"] = {
        "tickvals": [0, 1, 2], "ticktext": [*MODELS, "gap"], "tickfont": {"size": 1.2 * type_.text},
        "range": [2.5, -0.5], "showgrid": False, "zeroline": False,
    }  # fmt: skip
    title = f"Logit difference {word(answer)} − {word(original)}"
    return theme.frame([bars, gap], layout, title, 150 * type_.scale, size)


def _gap(values: list[float], type_: theme.Size) -> tuple[Part, Part]:
    """A line from BASE's end to INSTRUCT's, in a row of its own so that it covers neither bar, and what marks it."""
    base, instruct = values
    dotted = {"type": "line", "y1": 2.2, "line": {"color": theme.LINE, "width": 1, "dash": "dot"}}
    shapes = [{**dotted, "x0": value, "x1": value, "y0": row + 0.3} for row, value in enumerate(values)]
    line = {
        "type": "scatter", "x": [base, instruct], "y": [2, 2], "mode": "lines+markers", "hoverinfo": "skip",
        "showlegend": False, "line": {"color": theme.MUTED, "width": 2},
        "marker": {"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": theme.MUTED}},
    }  # fmt: skip
    how_far = {
        "x": max(values), "y": 2, "text": f"<b>{signed(instruct - base)}</b>", "showarrow": False,
        "xanchor": "left", "xshift": 8, "font": {"size": 1.5 * type_.title},
    }  # fmt: skip
    return line, {"shapes": shapes, "annotations": [how_far]}


def top_tokens(summary: Summary, answer: str, original: str, size: theme.SizeName = "normal") -> go.Figure:
    """The most likely next tokens of both models, by probability; answer and original in colours of their own."""
    type_ = theme.SIZES[size]
    kinds = {answer: ("answer", theme.ANSWER), original: ("original", theme.ORIGINAL)}
    longest = max(float(top.prob.max()) for top in summary.top)
    # Room for the number and the word behind the longest bar.
    x = {"range": [0, min(1.45 * longest, 1.45)], "title": {"text": "probability"}, "tickformat": ".0%", "nticks": 6}
    x |= theme.ZERO
    layout = side_by_side(len(MODELS), 0.16, x, {"showgrid": False, "zeroline": False})
    for panel, top in enumerate(summary.top):
        labels = token_labels(top.strings, 18)
        ticks = {"tickvals": list(range(len(labels))), "ticktext": labels}
        layout[axis("y", panel)] |= {**ticks, "range": [len(labels) - 0.5, -0.5]}
    layout["annotations"] = theme.headings(MODELS, size)
    traces = [{**_bars(top, kinds, type_), **on(panel)} for panel, top in enumerate(summary.top)]
    rows = max(len(top.strings) for top in summary.top)
    title = "Most likely next tokens at END"
    return theme.frame(traces, layout, title, 2 * type_.tick * rows, size, headings=True)


def _bars(top: TopTokens, kinds: dict[str, tuple[str, str]], type_: theme.Size) -> Part:
    found = [kinds.get(string, ("", theme.MUTED)) for string in top.strings]
    labels = [f"{escape(percent(p))} <b>{kind}</b>".removesuffix(" <b></b>") for p, (kind, _) in zip(top.prob, found)]
    hover = [
        f"<b>{escape(visible(string, 60))}</b> id {i}{kind and ', the ' + kind}<br>probability {p:.4g}<br>"
        f"logit {number(float(logit))}"
        for string, i, p, logit, (kind, _) in zip(top.strings, top.ids, top.prob, top.logit, found)
    ]
    return {
        "type": "bar", "x": [float(p) for p in top.prob], "y": list(range(len(labels))), "orientation": "h",
        "width": 0.72, "text": labels, "textposition": "outside", "textfont": {"size": type_.tick},
        "cliponaxis": False, "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>", "showlegend": False,
        "marker": {"color": [colour for _, colour in found]},
    }  # fmt: skip
