"""A page's sentence says what its numbers support, and where nothing stands out it says that."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core import findings
from core.attention_results import Attention
from core.neuron_results import NeuronPatches, Neurons
from core.patching.floor import NoiseFloor
from core.patching.gap import Gap
from core.patching.origin_results import EarlyLate
from core.patching.plan import SITES, unit
from core.patching.results import Sweep
from core.results import Attribution, Depth, Summary

GAP = Gap("instruct_to_base", -1.0, 3.0, floor=NoiseFloor(2, (0.01, 0.01, 0.01)))
BACK = Gap("base_to_instruct", 3.0, -1.0, floor=NoiseFloor(2, (0.01, 0.01, 0.01)))
TOKENS = ("Rephrase", ":", " The", " quick", " fox", " The")
MOVED = ": fine-tuning moved the logit difference by "
ROLES = {"original": 3, "colon": 1, "end": 5, "first": 0}


def summary(base: float, instruct: float) -> Summary:
    two = np.zeros(2)
    difference = np.array([base, instruct])
    return Summary(two, two, difference, difference, two, two, two.astype(int), two.astype(int), (), ())


def sweep(logit_diff, site: str = "z", gap: Gap = GAP) -> Sweep:
    return Sweep(site, "all", gap, np.asarray(logit_diff, float))


def attention(*weights: tuple) -> Attention:
    """weights: (model, layer, head, position, weight); what is left of a head's attention lies on the first token."""
    weight = np.zeros((2, 2, 2, len(TOKENS)))
    for model, layer, head, position, value in weights:
        weight[model, layer, head, position] = value
    weight[..., 0] = 1 - weight.sum(-1)
    return Attention(weight, weight, weight, TOKENS, ROLES, "own", ())


@pytest.mark.parametrize(
    "base, instruct, said",
    [
        (-1.02, 7.37, f"BASE prefers “quick” (−1.02), INSTRUCT “swift” (+7.37){MOVED}+8.39."),
        (0.5, 7.0, f"Both models prefer “swift” (BASE +0.50, INSTRUCT +7.00){MOVED}+6.50."),
        (-3.0, -1.0, f"Both models prefer “quick” (BASE −3.00, INSTRUCT −1.00){MOVED}+2.00, not enough for “swift”."),
        (2.0, -1.0, f"BASE prefers “swift” (+2.00), INSTRUCT “quick” (−1.00){MOVED}−3.00, away from “swift”."),
        (0.1, 0.3, f"Both models prefer “swift” (BASE +0.10, INSTRUCT +0.30){MOVED}+0.20, too little to share out."),
    ],
)  # fmt: skip
def test_the_models_are_told_apart_by_what_they_prefer(base, instruct, said):
    found = findings.of_models(summary(base, instruct), " swift", " quick")
    assert found == said
    assert len(re.findall(r"[+−]?\d+\.\d\d\b", found)) == 3


def attribution(head) -> Attribution:
    head = np.asarray(head, float)
    mlp = np.array([[0.0, 0.1], [0.0, 0.6]])
    zero = np.zeros(2)
    return Attribution(zero, head.sum(-1), mlp, head, np.zeros((2, 2)), zero, zero, "own", np.array([-1.0, 1.0]), ())


def test_the_head_that_writes_most_differently_is_named_with_its_share():
    found = findings.of_attribution(attribution([[[0, 0], [0, -0.1]], [[0, 0], [0, 0.7]]]))
    assert found == (
        "L1H1 writes −0.10 → +0.70 logits directly (BASE → INSTRUCT), +0.80 of a gap of +2.00: the most of all heads. "
        "Of whole layers, the attention of layer 1 (+0.80) differs most."
    )


def test_where_no_head_writes_much_differently_that_is_said():
    found = findings.of_attribution(attribution([[[0, 0], [0, 0]], [[0, 0.02], [0, 0]]]))
    assert found.startswith(
        "No head stands out: the most that one writes differently is +0.02 of a gap of +2.00 logits"
    )
    assert found.endswith("of whole layers, the MLP of layer 1 (+0.50) differs most.")


def test_the_head_that_patches_furthest_is_named_with_what_it_looks_at():
    looks = attention((1, 1, 0, 4, 0.6), (0, 1, 0, 3, 0.9))
    values = [[-1, -0.9], [0.2, -1.5]]
    said = findings.of_patching(sweep(values), looks)
    assert said == "L1H0 alone moves 30% of the gap; it looks at “fox”, not at “quick”."
    # The donor's attention: here BASE's.
    said = findings.of_patching(sweep([[3, 3], [1.8, 3.2]], gap=BACK), looks)
    assert said == "L1H0 alone moves 30% of the gap; it looks at “quick”."


def test_a_head_that_looks_nowhere_is_said_to_rest():
    said = findings.of_patching(sweep([[-1, -0.9], [0.2, -1.5]]), attention())
    assert said.endswith("; it looks at the first token, where heads rest, not at “quick”.")


def test_while_a_sweep_fills_its_finding_is_so_far():
    said = findings.of_patching(sweep([[np.nan, np.nan], [0.2, -1]]))
    assert said == "L1H0 alone moves 30% of the gap (so far: 2 of 4 have run)."
    nothing = sweep(np.full((2, 2), np.nan))
    assert findings.of_patching(nothing) == "No patch has run yet."
    estimated = findings.of_patching(nothing, estimate=sweep([[-1, -1], [0.2, -1]]))
    assert estimated == "As one backward pass estimates it, L1H0 alone moves 30% of the gap."


def test_a_gap_too_small_for_scores_gives_effects_only():
    small = Gap("instruct_to_base", 0.0, 0.3)
    said = findings.of_patching(sweep([[0, 0.1], [0, -0.2]], gap=small))
    assert said == "L0H1 alone moves BASE's logit difference by +0.10, the most of all."


def test_where_no_patch_stands_out_that_is_said():
    assert findings.of_patching(sweep([[-1, -0.94], [-1, -1]])) == "No head alone moves more than 2% of the gap (L0H1)."
    within = findings.of_patching(sweep([[-1, -0.995], [-1.5, -1]]))
    assert within == "No head alone moves BASE towards INSTRUCT by more than rounding does."


@pytest.mark.parametrize("site", SITES)
def test_every_site_has_its_words(site):
    columns = {"head": 2, "group": 2, "layer": 1}[unit(site)]
    values = np.full((2, columns), -1.0)
    values[1, -1] = 1.0
    said = findings.of_patching(sweep(values, site))
    assert re.search(
        "(L1H1|L1KV1|layer 1) alone.* moves? 50% of the gap|The values that L1H1 reads alone move 50%", said
    )


def test_the_head_whose_attention_differs_most_is_named_for_each_source():
    found = attention((0, 0, 1, 1, 0.24), (1, 0, 1, 1, 0.55), (0, 1, 0, 3, 0.37), (1, 1, 0, 3, 0.85))
    assert findings.of_attention(found, ("colon", "original")) == (
        "From “The”, L1H0's attention to “quick” differs most: 0.37 → 0.85 (BASE → INSTRUCT); "
        "to “:” it is L0H1's, 0.24 → 0.55."
    )


def test_where_attention_hardly_differs_that_is_said():
    found = attention((0, 0, 1, 1, 0.24), (1, 0, 1, 1, 0.26))
    assert findings.of_attention(found, ("colon", "original")) == (
        "From “The” no head's attention to “:” or “quick” differs by more than 0.02 between the models."
    )


def test_heads_whose_weights_do_nothing_are_said_to_carry():
    patched = sweep([[-1.0, -1.0, 0.6], [-1.0, -0.2, 1.0]])
    changed = sweep([[-0.9, -0.95, 0.5], [-0.9, -0.9, -1.1]], "w_head")
    assert findings.of_origin(changed, patched) == (
        "L1H2 moves 50% of the gap by its output, −3% by its own changed weights. 2 of the 3 that move BASE "
        "furthest mostly carry what was changed elsewhere."
    )
    back = [Sweep(each.site, "all", BACK, 2 - each.logit_diff) for each in (changed, patched)]
    assert "2 of the 3 that move INSTRUCT furthest" in findings.of_origin(*back)


def test_the_few_heads_that_were_changed_are_named():
    patched = sweep([[0.6, -1.0], [-0.2, 1.0]])
    found = findings.of_origin(sweep([[0.6, -1.0], [-1.0, -1.0]], "w_head"), patched)
    assert found.startswith("Of 4 heads only L0H0 moves BASE by its own changed weights; 2 more only by outputs")
    nothing = findings.of_origin(sweep(np.full((2, 2), -1.0), "w_head"), patched)
    assert nothing.startswith("No head's own weights move BASE")


def test_while_the_maps_fill_their_finding_is_so_far_and_without_a_gap_it_is_in_logits():
    patched = sweep([[np.nan, np.nan], [-0.2, 1.0]])
    found = findings.of_origin(sweep([[np.nan, np.nan], [-0.5, -0.5]], "w_head"), patched)
    assert "(So far: 2 of 4 heads.)" in found
    small = Gap("instruct_to_base", 1.0, 1.2, floor=GAP.floor)
    given = [sweep(values, gap=small) for values in ([[1.05, 1.04, 1.03]], [[1.05, 1.15, 1.03]])]
    assert findings.of_origin(*given).startswith("L0H1 moves +0.15 logits by its output, +0.04 by its own")
    assert findings.of_origin(*(sweep(np.full((2, 2), np.nan)) for _ in range(2))) == "No patch has run yet."


@pytest.mark.parametrize(
    "early, late, said",
    [
        ([-1, 1, 2.8, 3], [3, 1, -0.8, -1], "layers 0–1 alone give 95% of the gap, layers 2–3 5%."),
        ([-1, 1, 2, 2.9], [3, 1, 0, -1.4], "layers 0–2 alone give 98% of the gap, layer 3 −10%."),
        ([-1, 1, 2, 2.2], [3, 1, 0, -0.4], "layers below 3 give BASE 80% of the gap: it takes all."),
    ],
)
def test_where_along_the_layers_the_change_sits_is_said_too(early, late, said):
    depth = EarlyLate(*(sweep(np.array(values)[:, None], "resid_pre") for values in (early, late)))
    patched = sweep([[1.0, 0.6]])
    assert findings.of_origin(patched, patched, depth).endswith(said)


OVERTAKES = "Read off along the depth, “swift” against “quick”: "


@pytest.mark.parametrize(
    "base, instruct, said",
    [
        ((-1, -1, -2), (-1, 1, 2), f"{OVERTAKES}in BASE it ends below it; in INSTRUCT it overtakes it for good within"),
        ((1, -1, 2), (1, 1, 2), f"{OVERTAKES}in BASE it overtakes it for good after the last layer; in INSTRUCT it is"),
        ((1, -1, -2), (1, 0, 0), "Read off at any depth, “swift” ends below “quick” in both models."),
    ],
)
def test_the_depth_is_said_to_the_point_where_the_answer_overtakes_for_good(base, instruct, said):
    difference = np.array([base, instruct], float)
    found = Depth(np.array([0, 0.5, 1]), " swift", " quick", difference, difference, difference, ())
    assert findings.of_depth(found).startswith(said)


def test_neurons_are_said_with_their_share_of_the_layers_effect():
    two, direct = np.zeros((2, 2)), np.array([[0.1, 0.0], [0.6, 0.2]])
    found = Neurons(1, np.array([7, 3]), 40, two, direct, ((),), ((),), np.array([0.2, 1.5]), np.zeros(2), ())
    said = "Neuron 7 of layer 1 writes +0.10 → +0.60 logits directly (BASE → INSTRUCT), the whole MLP +0.20 → +1.50."
    assert findings.of_neurons(found, None) == said
    whole = " INSTRUCT's activations of all 40 neurons at once move BASE by "
    numbers = np.array([-0.8, -0.5, 1.0])
    patches = NeuronPatches(1, np.array([7]), np.array([10, 40]), GAP, numbers, np.full(3, 0.01))
    assert findings.of_neurons(found, patches) == f"{said}{whole}+2.00; of that 25% by the first 10."
    patches = NeuronPatches(1, np.array([7]), np.array([10, 40]), GAP, numbers, np.full(3, 9.0))
    assert findings.of_neurons(found, patches) == f"{said}{whole}+2.00, no more than rounding does."
