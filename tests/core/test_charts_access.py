"""Figures for those who cannot see them, and on a dark page: in words, with a zero and greys that fit the page."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from core.charts import theme
from core.charts.attention import attention_bars, layer_difference_lines
from core.charts.grid import Panel
from core.charts.heatmap import head_heatmaps, model_panels
from core.charts.in_words import in_words
from core.charts.patching import value_output_scatter
from core.charts.tokens import top_tokens
from tests.core.test_charts import HOSTILE, summary, values

ROOT = Path(__file__).parents[2]


def luminance(colour):
    """As WCAG defines it, of #rrggbb."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


PAGES = ("#ffffff", theme.PAGE_DARK)


def test_the_dark_page_is_that_of_the_app():
    shown = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["theme"]
    assert (shown["light"]["backgroundColor"], shown["dark"]["backgroundColor"]) == PAGES


def test_grey_letters_can_be_read_on_their_page():
    assert all(contrast(*pair) >= 4.5 for pair in zip(theme.QUIET, PAGES))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scale", ["diverging", "sequential"])
def test_zero_is_the_dark_pages_own_colour_and_colours_grow_lighter_away_from_it(scale):
    made = head_heatmaps(model_panels(abs(values(4, 8))), title="t", scale=scale)
    light = theme.on_page(made, dark=False).to_json()
    steps = theme.on_page(made, dark=True).layout.coloraxis.colorscale
    middle = [at for at, _ in steps].index(0.5 if scale == "diverging" else 0.0)
    assert steps[middle][1] == theme.PAGE_DARK
    distances = [
        [contrast(colour, theme.PAGE_DARK) for _, colour in arm] for arm in (steps[middle:], steps[middle::-1])
    ]
    assert all(arm == sorted(arm) for arm in distances)
    # One figure may be shown on both.
    assert theme.on_page(made, dark=False).to_json() == light


def test_what_is_within_the_noise_is_grey_on_both_pages_and_told_from_zero():
    faint = np.zeros((4, 8), bool)
    faint[1, 2] = True
    fig = head_heatmaps([Panel("p", values(4, 8)[0], faint=faint)], title="t")
    light = theme.on_page(fig, dark=False).to_json()
    dark = theme.on_page(fig, dark=True)
    assert light.count(theme.FAINT) == dark.to_json().count(theme.FAINT_DARK) > 1
    assert theme.FAINT not in dark.to_json() and contrast(theme.FAINT_DARK, theme.PAGE_DARK) > 2
    assert theme.on_page(dark, dark=False).to_json() == light


def test_a_map_in_words_names_the_cells_farthest_from_zero_with_their_values():
    found = values(4, 8)
    found[1, 2, 5], found[0, 3, 1] = 9.0, -8.0
    said = in_words(head_heatmaps(model_panels(found), title="Of <every> head", subtitle="in logits"))
    assert said.startswith("Of <every> head. in logits. Largest: L2H5, BASE:")
    assert "INSTRUCT: +9.000 logits" in said and "; L3H1, BASE: −8.000 logits" in said
    assert said.count(";") == 2


def test_cells_that_have_not_run_or_are_noise_are_not_said_to_stand_out():
    found = np.full((2, 3), np.nan)
    assert in_words(head_heatmaps([Panel("p", found)], title="Empty")) == "Empty."
    found[1, 2], found[0, 1] = 0.5, 7.0
    faint = found == 7.0
    said = in_words(head_heatmaps([Panel("p", found, faint=faint)], title="t"))
    assert "L1H2" in said and "L0H1" not in said


@pytest.mark.parametrize("token", HOSTILE)
def test_bars_in_words_name_both_models_once_and_tokens_as_they_read(token):
    said = in_words(attention_bars(np.array([[0.1, 0.8], [0.2, 0.1]]), ["The", token], "Attention"))
    assert said.startswith("Attention. Largest: token 2: ") and said.count(", BASE:") == said.count(", INSTRUCT:") == 2
    assert "<b>0" not in said and "<br>" not in said
    said = in_words(top_tokens(summary((" swift", token)), " swift", " quick"))
    assert "swift" in said and "probability 0.5" in said


def test_lines_and_points_in_words_say_what_hovering_says():
    lines = in_words(layer_difference_lines({"a": np.array([0.1, 0.9]), "b": np.array([0.2, 0.3])}))
    assert "Largest: a, layer 1: 0.900; b, layer 1: 0.300; b, layer 0: 0.200." in lines
    points = in_words(value_output_scatter(np.zeros((1, 2)), np.array([[0.1, -0.7]]), 1, "Points"))
    assert points.startswith("Points. Largest: L0H1, value patch: 0.000 patch score, output patch: −0.700 patch score")
