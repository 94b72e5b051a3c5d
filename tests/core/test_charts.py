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
from core.charts.labels import token_label, token_labels, width_em
from core.charts.patching import (
    exact_vs_estimate,
    layer_position_map,
    pair_matrix,
    recovery_curve,
    value_output_scatter,
)
from core.charts.placing import name_points
from core.charts.tokens import logit_difference_bars, top_tokens
from core.results import Attribution, Depth, Summary, TopTokens

SIZES = [(1, 1), (2, 4), (4, 8), (48, 40)]
HOSTILE = ("<img src=x onerror=alert(1)>", "<a href='x'>x</a>", "<b>bold</b>", "&lt;i&gt;", "\u202egnp")


def values(layers, heads, seed=0):
    """(model, layer, head)"""
    return np.random.default_rng(seed).standard_normal((2, layers, heads))


def attribution(layers, heads):
    v = values(layers, heads)
    zeros = np.zeros((2, layers))
    sums = (v.sum((1, 2)) + 1.0).astype(float)
    return Attribution(np.ones(2), v.sum(2), zeros, v, zeros, np.zeros(2), np.ones(2), "own", sums, ())


def summary(strings, logit_diff=(-1.0, 7.0)):
    n = len(strings)
    top = TopTokens(tuple(range(n)), tuple(strings), np.linspace(0.5, 0.1, n), np.linspace(9.0, 5.0, n))
    pair = np.array([0.1, 0.2])
    return Summary(pair, pair, np.array(logit_diff), np.array(logit_diff), pair, pair, pair, pair, (top, top), ())


def strings_of(fig):
    """Every string of a figure after decoding: to_json itself writes `<` as an escape, which the browser undoes."""

    def walk(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from (s for key, child in node.items() for s in (*walk(key), *walk(child)))
        elif isinstance(node, list):
            yield from (s for child in node for s in walk(child))

    return list(walk(json.loads(fig.to_json())))


def click_layers(fig):
    return [trace for trace in fig.data if trace.type == "scatter" and trace.customdata is not None]


def colour_traces(fig):
    return [trace for trace in fig.data if trace.type == "heatmap" and trace.coloraxis]


def assert_inert(fig):
    for text in strings_of(fig):
        for bad in ("<img", "<a ", "<a>", "<i>", "<b>bold", "\u202e"):
            assert bad not in text


@pytest.mark.parametrize("shape", SIZES)
def test_every_cell_of_every_panel_is_clickable_once_and_carries_its_layer_and_head(shape):
    layers, heads = shape
    fig = head_heatmaps(model_panels(values(*shape)), title="t")
    every = [[layer, head] for layer in range(layers) for head in range(heads)]
    clicks = click_layers(fig)
    assert len(clicks) == 3
    for trace in clicks:
        assert sorted(list(c) for c in trace.customdata) == every
        assert [[y, x] for x, y in zip(trace.x, trace.y)] == [list(c) for c in trace.customdata]
        assert trace.selected.marker.opacity == trace.unselected.marker.opacity == trace.marker.opacity == 0
    assert all(trace.hoverinfo == "skip" for trace in fig.data if trace.type == "heatmap")


@pytest.mark.parametrize("shape", SIZES)
def test_panels_share_one_scale_symmetric_around_zero_that_holds_every_value(shape):
    v = values(*shape)
    fig = head_heatmaps(model_panels(v), title="t")
    axis = fig.layout.coloraxis
    assert {trace.coloraxis for trace in colour_traces(fig)} == {"coloraxis"}
    assert axis.cmin == -axis.cmax
    assert axis.cmax == pytest.approx(max(np.abs(v).max(), np.abs(v[1] - v[0]).max()))
    assert axis.colorscale[len(axis.colorscale) // 2][0] == 0.5


def test_the_sequential_scale_starts_at_zero():
    fig = head_heatmaps([Panel("BASE", np.array([[0.2, 0.6]]))], title="t", scale="sequential")
    assert (fig.layout.coloraxis.cmin, fig.layout.coloraxis.cmax) == (0, 0.6)


def test_a_run_compared_with_itself_shows_a_difference_of_zero_in_every_cell():
    v = values(3, 5)[0]
    fig = head_heatmaps(model_panels(np.stack([v, v])), title="t")
    base, instruct, difference = (np.array(trace.z, float) for trace in colour_traces(fig))
    assert np.array_equal(base, v) and np.array_equal(instruct, v)
    assert not difference.any()


def test_all_zeros_still_have_a_scale():
    axis = head_heatmaps(model_panels(np.zeros((2, 2, 2))), title="t").layout.coloraxis
    assert axis.cmin < 0 < axis.cmax


def test_layers_count_downwards_and_axes_end_at_the_cells_edges():
    fig = head_heatmaps(model_panels(values(4, 8)), title="t")
    for axis in (fig.layout.yaxis, fig.layout.yaxis2, fig.layout.yaxis3):
        assert tuple(axis.range) == (3.5, -0.5)
    for axis in (fig.layout.xaxis, fig.layout.xaxis2, fig.layout.xaxis3):
        assert tuple(axis.range) == (-0.5, 7.5)


def test_cells_not_yet_computed_have_no_colour_and_say_so_but_can_be_clicked():
    v = np.array([[np.nan, 0.25], [1.0, np.nan]])
    fig = head_heatmaps([Panel("INSTRUCT → BASE", v)], title="t", unit="patch score")
    assert [list(row) for row in colour_traces(fig)[0].z] == [[None, 0.25], [1.0, None]]
    (click,) = click_layers(fig)
    assert ["not yet computed" in text for text in click.text] == [True, False, False, True]
    assert "not yet computed" in {trace.name for trace in fig.data} and fig.layout.showlegend
    assert "NaN" not in fig.to_json()


def test_a_figure_with_nothing_computed_can_be_drawn():
    fig = head_heatmaps(model_panels(np.full((2, 3, 3), np.nan)), title="t")
    assert len(click_layers(fig)) == 3 and fig.layout.coloraxis.cmax == 1


def test_noise_is_grey_and_estimates_are_marked_and_both_are_told_on_hovering():
    v, faint, estimated = np.array([[0.01, 0.5]]), np.array([[True, False]]), np.array([[False, True]])
    fig = head_heatmaps([Panel("score", v, faint, estimated)], title="t")
    assert list(colour_traces(fig)[0].z[0]) == [None, 0.5]
    first, second = click_layers(fig)[0].text
    assert "+0.010" in first and "within the noise floor" in first and "estimate" not in first
    assert "estimate" in second and "noise" not in second
    assert {"within the noise floor", "estimate"} <= {trace.name for trace in fig.data}


def test_the_chosen_head_is_outlined_in_every_panel():
    fig = head_heatmaps(model_panels(values(4, 8)), title="t", chosen=(3, 5))
    boxes = [s for s in fig.layout.shapes if (s.x0, s.x1, s.y0, s.y1) == (4.5, 5.5, 2.5, 3.5)]
    assert {box.xref for box in boxes} == {"x", "x2", "x3"}


def test_hovering_names_the_head_and_its_value_in_each_model_with_the_unit():
    v = np.array([[[0.5, -1.0]], [[2.0, 1.0]]])
    text = click_layers(head_heatmaps(model_panels(v), title="t"))[0].text[1]
    assert text == "<b>L0H1</b><br>BASE: −1.000 logits<br>INSTRUCT: +1.000 logits<br>INSTRUCT − BASE: +2.000 logits"


def test_columns_of_a_value_patch_are_named_as_groups_with_the_heads_they_serve():
    notes = [["heads 0–3", "heads 4–7"]]
    fig = head_heatmaps([Panel("v", np.zeros((1, 2)))], title="t", columns="KV group", notes=notes)
    assert "L0KV1" in click_layers(fig)[0].text[1] and "heads 4–7" in click_layers(fig)[0].text[1]


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


def test_a_layer_not_yet_computed_has_no_bar_and_one_series_needs_no_legend():
    fig = layer_bars({"MLP": np.array([[np.nan, 0.5]])}, "t", "patch score", series=("INSTRUCT → BASE",))
    assert list(fig.data[0].y) == [None, 0.5] and not fig.layout.showlegend
    assert "not yet computed" in fig.data[0].text[0] and "−" not in fig.data[0].text[1]


def test_scatter_points_carry_their_head_and_lie_at_value_and_output():
    rng = np.random.default_rng(1)
    value, output = rng.standard_normal((2, 3, 8))
    value[0, 2] = np.nan
    (points,) = click_layers(value_output_scatter(value, output, 4, "t"))
    assert len(points.customdata) == 23 and [0, 2] not in [list(c) for c in points.customdata]
    for x, y, (layer, head) in zip(points.x, points.y, points.customdata):
        assert (x, y) == (value[layer, head], output[layer, head])
    assert points.unselected.marker.opacity == points.marker.opacity


def lines_of(fig):
    """The drawn lines, cut at their gaps, each as its points."""
    (trace,) = [trace for trace in fig.data if trace.mode == "lines"]
    runs, run = [], []
    for point in zip(trace.x, trace.y):
        if None in point:
            runs, run = [*runs, run], []
        else:
            run.append(point)
    return [r for r in runs if r]


def test_lines_join_the_members_of_one_group_and_no_others():
    value, output = np.arange(8.0).reshape(1, 8), -np.arange(8.0).reshape(1, 8)
    fig = value_output_scatter(value, output, 4, "t")
    assert lines_of(fig) == [[(float(h), -float(h)) for h in heads] for heads in (range(4), range(4, 8))]


def test_in_a_model_of_many_groups_only_those_of_named_heads_are_joined():
    value = np.full((32, 32), 0.001)
    value[5, 6] = value[7, 30] = 1.0
    value[2, 1] = value[2, 2] = value[2, 3] = value[2, 0] = 0.5
    fig = value_output_scatter(value, value, 4, "t", chosen=(9, 0))
    assert len(lines_of(fig)) == 4
    assert {"L5H6", "L7H30"} <= {a.text for a in fig.layout.annotations}


def test_scatters_of_nothing_yet_can_be_drawn():
    nothing = np.full((2, 4), np.nan)
    value_output_scatter(nothing, nothing, 2, "t", chosen=(0, 0))
    exact_vs_estimate(nothing, nothing, [""] * 8, float("nan"))


def test_estimate_and_exact_share_one_range_and_leave_out_what_has_not_run():
    estimate, exact = np.array([[0.1, 0.2]]), np.array([[np.nan, 0.4]])
    fig = exact_vs_estimate(estimate, exact, ["a", "b"], 0.9)
    (points,) = click_layers(fig)
    assert (list(points.x), list(points.y), list(points.customdata[0])) == ([0.2], [0.4], [0, 1])
    assert "<b>b</b>" in points.text[0]
    assert fig.layout.xaxis.range == fig.layout.yaxis.range


def test_names_do_not_cover_each_other():
    type_ = theme.SIZES["normal"]
    names = name_points([(0.5, 0.5, f"L13H{h}") for h in range(20, 28)], (1.0, 1.0), 380, type_)
    centres = [(name["ax"], name["ay"]) for name in names]
    wide, tall = 6 * 0.5 * type_.tick, type_.tick
    for n, (x, y) in enumerate(centres):
        for other_x, other_y in centres[:n]:
            assert abs(x - other_x) > wide or abs(y - other_y) > tall


def test_a_name_keeps_off_other_points_and_within_the_plot():
    type_ = theme.SIZES["normal"]
    # In the upper right corner, with another point where the name would stand first that still fits.
    points, near = [(0.99, 0.99, "L2H6")], [(0.93, 0.945)]
    marks = [(0.99, 0.99), *near]
    (name,) = name_points(points, (1.0, 1.0), 400, type_, width=400, marks=marks, origin=(0.0, 0.0))
    wide, tall = width_em("L2H6") * type_.tick, 1.25 * type_.tick
    x, y = 396 + name["ax"], 396 - name["ay"]
    assert x + wide / 2 <= 400 and y + tall / 2 <= 400
    assert abs(x - 372) >= wide / 2 + 4 or abs(y - 378) >= tall / 2 + 4


def test_pairs_have_their_number_in_the_cell_and_none_on_the_diagonal():
    fig = pair_matrix(np.array([[9.0, 0.25], [0.25, 9.0]]), ["L1H0", "L2H1"])
    assert [list(row) for row in fig.data[0].text] == [["", "+0.250"], ["+0.250", ""]]
    assert fig.layout.coloraxis.cmax == 0.25


def test_the_recovery_curve_starts_at_nothing_and_names_each_member_added():
    fig = recovery_curve(np.array([0.2, 0.6]), ["L1KV0", "L2KV1"], total=1)
    assert list(fig.data[0].y) == [0.0, 0.2, 0.6]
    assert list(fig.layout.xaxis.ticktext) == ["none", "+ L1KV0", "+ L2KV1"]
    # Members may be KV groups.
    assert "head" not in fig.layout.xaxis.title.text + "".join(fig.data[0].text)


@pytest.mark.parametrize("count", [2, 60, 300])
def test_repeated_tokens_keep_their_own_positions_and_roles_keep_their_labels(count):
    fig = layer_position_map(np.zeros((2, count)), [" The"] * count, "t", roles={"end": count - 1, "colon": None})
    ticks = dict(zip(fig.layout.xaxis.tickvals, fig.layout.xaxis.ticktext))
    assert ticks[count - 1] == "<b>The</b>" and len(ticks) <= 70
    (click,) = click_layers(fig)
    assert list(click.customdata[-1]) == [1, count - 1] and "(END)" in click.text[-1]
    if count == 60:
        assert len(ticks) == 60


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
