"""Figures: what they promise about scales, clicks and text, on synthetic numbers."""

import json
import subprocess
import sys

import numpy as np
import pytest

from core.charts import theme
from core.charts.attention import attention_bars, layer_difference_lines
from core.charts.attribution import layer_attribution, layer_bars
from core.charts.depth import lens_span, logit_lens
from core.charts.grid import Panel
from core.charts.heatmap import head_heatmaps, model_panels
from core.charts.labels import token_label, token_labels
from core.charts.patching import (
    exact_vs_estimate,
    layer_position_map,
    pair_matrix,
    recovery_curve,
    value_output_scatter,
)
from core.charts.tokens import logit_difference_bars, top_tokens
from core.results import Depth
from tests.core.figures import HOSTILE, assert_inert, attribution, strings_of, summary, values


@pytest.mark.parametrize("layers", [1, 2, 80])
def test_layer_attribution_draws_attention_and_mlp_of_both_models_on_one_range(layers):
    result = attribution(layers, 3)
    fig = layer_attribution(result)
    drawn = [list(bar.y) for bar in fig.data]
    expected = [result.attn[0], result.attn[1], result.mlp[0], result.mlp[1]]
    assert np.allclose(drawn, expected)
    assert fig.layout.yaxis.range == fig.layout.yaxis2.range
    low, high = fig.layout.yaxis.range
    assert low <= min(0, np.min(expected)) and high >= max(0, np.max(expected))


def test_the_gap_reaches_from_base_to_instruct():
    fig = logit_difference_bars(summary([" a"], (-1.02, 7.37)), " swift", " quick")
    assert list(fig.data[0].x) == [-1.02, 7.37]
    assert list(fig.data[1].x) == [-1.02, 7.37]
    assert any("+8.39" in (a.text or "") for a in fig.layout.annotations)


def test_answer_and_original_stand_out_among_the_top_tokens():
    fig = top_tokens(summary([" swift", " quick", " a"]), " swift", " quick")
    for bars in fig.data:
        assert len(set(bars.marker.color)) == 3
        assert "answer" in bars.text[0] and "original" in bars.text[1]
    assert list(fig.layout.yaxis.ticktext) == ["swift", "quick", "a"]


@pytest.mark.parametrize("token", HOSTILE)
def test_tokens_are_shown_as_text_and_never_as_markup(token):
    assert_inert(top_tokens(summary([token, " a"]), token, token))
    assert_inert(logit_difference_bars(summary([" a"]), token, token))
    panel = Panel(token, np.zeros((1, 1)))
    assert_inert(head_heatmaps([panel], title=token, unit=token, notes=[[token]], subtitle=token))


@pytest.mark.parametrize("token", HOSTILE)
def test_figures_of_patching_and_attention_show_names_and_tokens_as_text(token):
    v = np.array([[0.1, -0.2]])
    assert_inert(value_output_scatter(v, v, 2, token, token, token))
    assert_inert(pair_matrix(np.ones((2, 2)), [token, "a"], token, token))
    assert_inert(recovery_curve(np.array([0.5]), [token], token, token, total=1))
    assert_inert(layer_position_map(v, [token, token], token, token, roles={token: 1}))
    assert_inert(exact_vs_estimate(v, v, [token, "a"], 0.5, token))
    assert_inert(layer_difference_lines({token: np.ones(3)}, token, token))
    assert_inert(attention_bars(np.ones((2, 2)), [token, token], token, token, roles={token: 0}))
    assert_inert(layer_bars({token: np.ones((2, 3))}, token, token, token, series=(token, token)))


@pytest.mark.parametrize("unit, named", [("nats", "rank, nats"), ("", "rank")])
def test_an_axis_says_its_unit_where_it_has_one(unit, named):
    assert layer_bars({"rank": np.ones((1, 3))}, "t", unit, series=("exact",)).layout.yaxis.title.text == named


def test_a_layer_not_yet_computed_has_no_bar_and_one_series_needs_no_legend():
    fig = layer_bars({"MLP": np.array([[np.nan, 0.5]])}, "t", "patch score", series=("INSTRUCT → BASE",))
    assert list(fig.data[0].y) == [None, 0.5] and not fig.layout.showlegend
    assert "not yet computed" in fig.data[0].text[0] and "−" not in fig.data[0].text[1]


def test_layers_where_the_models_differ_most_are_named():
    values = np.zeros(32)
    values[[13, 14, 10]] = 0.5, 0.4, 0.3
    fig = layer_difference_lines({"A(:→The)": values, "A(quick→The)": np.zeros(32)})
    assert {a.text for a in fig.layout.annotations} == {"L13", "L14", "L10"}


def test_attention_of_both_models_is_drawn_by_position():
    values = np.array([[0.1, 0.9], [0.6, 0.4]])
    fig = attention_bars(values, [" a", " a"], "t", roles={"original": 0})
    assert [list(bars.y) for bars in fig.data] == values.tolist()
    assert "BASE: 0.100 attention" in fig.data[1].text[0] and "(original)" in fig.data[1].text[0]


def test_invisible_characters_of_tokens_are_made_visible():
    assert token_labels([" swift", "<b>"]) == ["swift", "&lt;b&gt;"]
    assert token_label("\n\n") == "⏎⏎"
    assert token_label("") == "(empty)"
    assert token_label("\u202ea") == "U+202Ea"
    assert token_label("x" * 40, 10) == "x" * 9 + "…"


def test_figures_leave_text_and_background_to_the_page_and_do_not_depend_on_streamlit():
    script = (
        "{}import numpy as np; from core.charts.heatmap import *; "
        "print(head_heatmaps(model_panels(np.ones((2, 2, 2))), title='t').to_json())"
    )
    imports = ("", "import streamlit.elements.plotly_chart; ")
    plain, beside = (subprocess.check_output([sys.executable, "-c", script.format(i)], text=True) for i in imports)
    assert json.loads(plain) == json.loads(beside)
    layout = json.loads(plain)["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert "color" not in layout["font"] and "color" not in layout["title"]["font"]


def test_large_figures_have_larger_text_everywhere():
    normal, large = (head_heatmaps(model_panels(values(4, 8)), title="t", size=size) for size in ("normal", "large"))
    bar = "coloraxis.colorbar.tickfont.size"
    for path in ("font.size", "title.font.size", "xaxis.tickfont.size", "yaxis.tickfont.size", bar):
        assert large.layout[path] > normal.layout[path]


def stage_figures(scale=1.0):
    """The main figure of each page in large type, and the span of its values."""
    v = scale * np.abs(values(30, 9))
    bars = scale * np.array([[-1.0, 2.0, 3.0]] * 2)
    shown, found = summary((" swift", " quick"), (-scale, 7.0 * scale)), attribution(30, 9)
    rows = {"attention": scale * found.attn, "MLP": scale * found.mlp}
    yield "map", lambda span: head_heatmaps(model_panels(v), "t", limit=span and span[1], size="large", fills=True)
    yield "tokens", lambda span: logit_difference_bars(shown, " swift", " quick", "large", span)
    yield "layers", lambda span: layer_bars(rows, "t", "logits", "subtitle", "large", span=span)
    yield "bars", lambda span: attention_bars(bars, ["The", " quick", " fox"], "t", size="large", span=span)


def span_of(fig):
    """What the axis of values spans."""
    layout = fig.layout
    if layout.coloraxis.cmax is not None:
        return layout.coloraxis.cmin, layout.coloraxis.cmax
    return tuple(layout.xaxis.range if fig.data[0].orientation == "h" else layout.yaxis.range)


def test_on_a_stage_every_main_figure_has_one_height_and_room_for_its_axes():
    for name, build in stage_figures():
        layout = build(None).layout
        assert layout.height == theme.STAGE_HEIGHT, name
        assert layout.height - layout.margin.t - layout.margin.b > 120, name
        assert layout.title.subtitle.text is None, name


def test_a_span_that_is_given_is_shown_whatever_the_values_are():
    for (name, small), (_, large) in zip(stage_figures(), stage_figures(10.0)):
        whole = theme.union(span_of(small(None)), span_of(large(None)))
        assert span_of(large(None)) == pytest.approx(whole), name
        assert span_of(small(whole)) == span_of(large(whole)) == pytest.approx(whole), name
        assert span_of(small(None)) != pytest.approx(whole), name


def depth(difference, tokens=(" swift", " quick")):
    difference = np.array(difference, float)
    return Depth(np.arange(difference.shape[1]) / 2, *tokens, difference + 1, np.ones_like(difference), difference, ())


def test_the_logit_lens_is_a_line_a_model_with_a_ring_where_the_answer_overtakes():
    shown = depth([[-1, 0, 1, -2, -3], [-1, 1, -1, 2, 7]])
    fig = logit_lens(shown)
    base, instruct, ring = fig.data
    assert (base.name, instruct.name) == ("BASE", "INSTRUCT")
    assert base.x == (0, 0.5, 1, 1.5, 2) and instruct.y == (-1, 1, -1, 2, 7) and ring.x == (1.5,) and ring.y == (2,)
    assert "within layer 1, after its attention" in instruct.text[3] and "INSTRUCT − BASE: +4" in instruct.text[3]
    low, high = fig.layout.yaxis.range
    assert low < -3 and high > 7
    # No place is ringed where the answer is above from the beginning, or ends below.
    assert len(logit_lens(depth([[1, 2, 3], [1, -1, -2]])).data) == 2


def test_the_logit_lens_shows_each_candidate_on_a_switch():
    shown = depth([[-1, 0, 1], [-1, 1, 7]], HOSTILE[:2])
    fig = logit_lens(shown, candidates=True)
    assert [line.line.dash for line in fig.data] == ["solid", "dot", "solid", "dot"]
    assert fig.data[2].y == (0, 2, 8) and fig.data[3].y == (1, 1, 1)
    assert not any("<img" in text or "<a" in text for text in strings_of(fig))
    assert lens_span(shown, candidates=True)[1] > 8
    assert logit_lens(shown, span=(-20, 20)).layout.yaxis.range == (-20, 20)
