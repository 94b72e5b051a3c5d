"""The map of senders and its sentence, from hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest

from core.charts.in_words import in_words
from core.charts.paths import sender_at, sender_map
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.path_results import Paths
from core.patching.senders import Sender
from core.path_findings import of_paths, sums

GAP = Gap("instruct_to_base", 0.0, 4.0, floor=NoiseFloor(3, (0.1, 0.1, 0.1)))


def paths(effects: dict[tuple[str, Sender], float], gap: Gap = GAP, pending: int = 0) -> Paths:
    """Into L2H1 of two heads a layer; what is not named does nothing."""
    found = Paths((2, 1), 2, 1, True, gap, np.zeros((3, 9)))
    for (part, sender), effect in effects.items():
        found.logit_diff["qkv".index(part), found.senders.index(sender)] = effect
    if pending:
        found.logit_diff[2, -pending:] = np.nan
    return found


FOUND = {
    ("q", Sender("head", 1, 0)): 0.8,
    ("k", Sender("mlp", 0)): -0.4,
    ("v", Sender("embed")): 0.2,
    ("q", Sender("attn", 1)): 2.0,
    ("v", Sender("head", 0, 1)): 0.05,
}


def coloured(fig) -> np.ndarray:
    return np.array(next(t.z for t in fig.data if t.type == "heatmap" and t.coloraxis), float)


def test_each_cell_is_its_senders_and_the_embedding_fills_its_row():
    found = paths(FOUND)
    fig = sender_map(found, "q", found.score, "title", "patch score", 0.5)
    assert coloured(fig).shape == (3, 3)
    assert coloured(fig)[2, 0] == pytest.approx(0.2)
    names = [[sender_at(found, row, column).name for column in range(3)] for row in range(3)]
    assert names == [["embedding"] * 3, ["L0H0", "L0H1", "L0 MLP"], ["L1H0", "L1H1", "L1 MLP"]]
    v = sender_map(found, "v", found.score, "title", "patch score", 0.5)
    assert coloured(v)[0].tolist() == pytest.approx([0.05] * 3)
    assert "L1H0" in in_words(fig).partition("Largest:")[2]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_map_of_few_layers_has_room_for_the_ticks_of_its_colour_bar(layer):
    found = Paths((layer, 1), 2, 1, True, GAP, np.zeros((3, 4 * layer + 1)))
    fig = sender_map(found, "q", found.score, "title", "patch score", 0.5)
    margin = fig.layout.margin
    # Five ticks of 12 px, a line each, with the bar's title above them.
    assert fig.layout.height - margin.t - margin.b >= 6 * 1.4 * 12


def test_what_is_within_the_noise_floor_is_grey_and_what_has_not_run_is_pending():
    found = paths(FOUND, pending=1)
    fig = sender_map(found, "v", found.score, "title", "patch score", 0.5)
    # L0H1 is within the floor, L1's MLP has not run.
    assert np.isnan(coloured(fig)[1, 1]) and np.isnan(coloured(fig)[2, 2]) and np.isfinite(coloured(fig)[0, 0])


def test_a_head_of_the_first_layer_has_one_row():
    found = Paths((0, 1), 2, 1, True, GAP, np.full((3, 1), 0.5))
    assert coloured(sender_map(found, "q", found.score, "title", "patch score", 0.5)).shape == (1, 3)


def test_the_sentence_names_the_strongest_single_paths_of_all_three_inputs():
    assert of_paths(paths(FOUND)) == (
        "Of all single paths into L2H1 these move most of the gap: L1H0 into its queries (20%), L0 MLP into its keys "
        "(−10%), embedding into its values (5%)."
    )
    assert sums(paths(FOUND)) == "q +0.20, k −0.10, v +0.06"


def test_the_sentence_says_where_little_or_nothing_is_moved_and_how_far_it_has_come():
    little = paths({("q", Sender("mlp", 1)): 0.11}, pending=2)
    assert of_paths(little) == (
        "No single path into L2H1 moves 3% of the gap; most come from L1 MLP into its queries (3%) (so far: 25 of 27 "
        "have run)."
    )
    assert "by more than rounding" in of_paths(paths({}))
    assert of_paths(Paths((2, 1), 2, 1, True, GAP, np.full((3, 9), np.nan))) == "No path has run yet."
    without = paths(FOUND, Gap("instruct_to_base", 0.0, 0.3, floor=GAP.floor))
    assert "move most: L1H0 into its queries (+0.80 logits)" in of_paths(without)
