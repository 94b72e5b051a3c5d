"""A set made of one sentence, a sample of a set, and the figures of sets."""

from __future__ import annotations

import numpy as np
import pytest

from core.charts import theme
from core.charts.grid import PALE_TEXT, Panel
from core.charts.heatmap import head_heatmaps
from core.charts.in_words import in_words
from core.charts.sets import interval_bars, layer_intervals, layer_means, set_scatter, set_spread
from core.experiment import Experiment, InputError
from core.sets.building import MOST, build
from core.sets.reading import as_text, read_set, sampled, shipped_file
from core.sets.statistics import average


@pytest.mark.parametrize("pair", ["tiny", "another"])
def test_words_are_swapped_for_others_that_fit_and_every_row_can_be_read(pair):
    rows = build(Experiment(pair=pair, sentence="An old man sat near a big dog.", original="old"), "ancient")
    read = read_set(as_text(rows).encode())
    assert len(rows) == MOST == len(read.entries) + len(read.refused) and len(read.refused) < 3
    assert set(read.structures) == {"as typed", "other noun", "other adjective", "both others"}
    assert read.entries[0].sentence == "An old man sat near a big dog." and "ancient" in read.entries[0].answers
    for entry in read.entries:
        assert entry.original not in entry.answers and " a big" in f" {entry.sentence}"
        before = entry.sentence.split()[0]
        assert before == ("An" if entry.original[0] in "aeiou" else "A"), entry.sentence


def test_an_unknown_adjective_keeps_its_answer_and_an_unknown_sentence_is_refused():
    rows = build(Experiment(sentence="The zesty fox runs.", original="zesty"), "lively")
    assert {row["structure"] for row in rows} == {"as typed", "other noun"} and rows[1]["answers"] == "lively"
    for unknown in (Experiment(sentence="Zyx qwv.", original="Zyx"), Experiment(prompt="a b", original=" c")):
        with pytest.raises(InputError):
            build(unknown, "x")


def test_a_sample_has_every_structure_and_each_row_in_its_line():
    text = shipped_file("tiny").read_text()
    whole, some = read_set(text.encode()), read_set(sampled(text, 12).encode())
    assert len(some.entries) == 12 and some.structures == whole.structures
    assert {entry.line: entry for entry in some.entries}.items() <= {e.line: e for e in whole.entries}.items()
    assert sampled(text, 10_000) == text


def test_figures_of_a_set_say_its_prompts_and_means():
    values = np.array([[-2.0, 1.0], [-1.0, 3.0], [0.5, 2.0]])
    mean = average(np.column_stack([values, values[:, 1] - values[:, 0]]))
    scatter = set_scatter(values, ["<b>one</b>", "two", "three"], mean)
    assert "&lt;b&gt;one" in scatter.data[0].text[0] and scatter.data[1].x == (mean.mean[0],)
    assert scatter.data[1].error_x.array[0] == pytest.approx(mean.ci_high[0] - mean.mean[0])
    spread = set_spread(values)
    assert [sum(trace.y) for trace in spread.data] == [3, 3]
    # Of a few, in whole prompts; of many, as Plotly finds.
    assert spread.layout.yaxis.dtick == 1 and set_spread(np.ones((40, 2))).layout.yaxis.dtick is None
    ends = mean.mean[None], mean.ci_low[None], mean.ci_high[None]
    layers = layer_intervals({"mlp_out": ends}, "By layer", "logits").data[0]
    assert layers.marker.opacity == (0.35, 1, 1) and layers.error_y.arrayminus[1] == pytest.approx(2 - mean.ci_low[1])
    bars = interval_bars({"late": mean, "copula": mean}, "Mean by structure")
    assert "late, INSTRUCT: +2.00 [" in in_words(bars)
    # A long name is written on several lines, and takes no more room beside the bars than one of them.
    long = "Replace all the adjectives of the following sentence with words that mean their opposites"
    assert interval_bars({long: mean}, "Mean by instruction").layout.margin.l < 230


def test_layers_are_drawn_by_attention_and_mlp_with_each_models_bar_and_its_interval():
    draw = np.random.default_rng(0)
    attention, mlp = (average(draw.normal(size=(5, 3, 4))) for _ in range(2))
    drawn = layer_means({"attn": attention, "mlp": mlp, "embed": average(draw.normal(size=(5, 3)))})
    bars = [trace for trace in drawn.data if trace.x[0] is not None]
    for n, found in enumerate((attention, mlp)):
        for model, trace in enumerate(bars[2 * n : 2 * n + 2]):
            np.testing.assert_allclose(trace.y, found.mean[model])
            np.testing.assert_allclose(np.add(trace.y, trace.error_y.array), found.ci_high[model])
            assert trace.opacity is None and [o < 1 for o in trace.marker.opacity] == list(found.spans_zero[model])
    assert bars[0].yaxis == bars[1].yaxis != bars[2].yaxis
    assert drawn.layout.yaxis.range == drawn.layout.yaxis2.range
    named = [trace for trace in drawn.data if trace.showlegend is not False]
    assert [(trace.name, trace.marker.color) for trace in named] == [("BASE", theme.BASE), ("INSTRUCT", theme.INSTRUCT)]


def test_a_mean_whose_interval_holds_0_is_pale_in_the_same_colours():
    panel = Panel("BASE", np.array([[1.0, -0.2]]), pale=np.array([[False, True]]))
    maps = [trace for trace in head_heatmaps([panel], "Means").data if trace.type == "heatmap"]
    assert [trace.opacity for trace in maps] == [None, 0.22] and maps[1].z[0][1] == -0.2
    assert maps[0].z[0][1] is None and all(trace.coloraxis == "coloraxis" for trace in maps)
    named = [trace.name for trace in head_heatmaps([panel], "Means").data if trace.name]
    assert named == [PALE_TEXT]
