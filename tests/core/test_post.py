"""The post beside the models at hand: heads by name on its own pair and by rank elsewhere, and words that follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.experiment import Experiment
from core.models.pairs import registry
from core.post import numbers as post
from core.post.here import Here, Measured
from core.post.rows import STEPS, every_row, rows_of, to_frame, top_heads, written
from core.post.words import NOT_YET, sentence, tally

LAYERS = HEADS = 32


def as_in_the_post() -> Here:
    """Models that give the post's own numbers, and little else."""
    head, original, colon = (np.full((2, LAYERS, HEADS), 0.01) for _ in range(3))
    output, value_only, changed = (np.full((LAYERS, HEADS), 0.001) for _ in range(3))
    value = np.full((LAYERS, HEADS // post.GROUP_SIZE), 0.001)
    for place, pair in post.DLA.items():
        head[:, *place] = pair
    head[1][post.COMPETES] = -1
    for array, table in ((original, post.A_ORIGINAL), (colon, post.A_COLON)):
        for place, pair in table.items():
            array[:, *place] = pair
    for n, (place, score) in enumerate(post.OUTPUT.items()):
        output[place] = score - n * 1e-9  # of equal ones the order of the post
    for array, (first, last) in ((original, post.BANDS["original"]), (colon, post.BANDS["colon"])):
        array[1, first : last + 1, :8] += 0.9
    value[13, 5] = post.VALUE
    attn, mlp = np.zeros((2, LAYERS)), np.zeros((2, LAYERS))
    attn[1, 30], mlp[1, 31] = 5, 4
    scores = {"z": output, "v": value, "value_only": value_only, "w_head": changed}
    return Here(
        Measured(np.array(post.LOGIT_DIFF)),
        Measured(attn),
        Measured(mlp),
        Measured(head),
        {"original": Measured(original), "colon": Measured(colon)},
        {site: Measured(score) for site, score in scores.items()},
        post.GROUP_SIZE,
    )


@pytest.mark.parametrize("own", [True, False], ids=["by name", "by rank"])
def test_models_that_give_the_posts_numbers_agree_in_every_row(own):
    here = as_in_the_post()
    rows = every_row(here, own)
    told = [row for row in rows if not np.isnan(row.post)]
    assert len(told) > 30 and all(row.agrees for row in told), [row for row in told if not row.agrees]
    exact = [row for row in told if row.step not in ("where", "values")]
    np.testing.assert_allclose([row.here for row in exact], [row.post for row in exact], atol=1e-8)
    assert all(row.here_head == row.post_head for row in exact)
    assert tally(rows).startswith(f"{len(told)} of {len(told)} rows")
    for step in ("prompt", "layers", "heads", "outputs", "colon", "values"):
        assert sentence(step, here, own).startswith("As in the post"), sentence(step, here, own)
    assert "as in the post “:” comes first" in sentence("where", here, own)


def test_what_points_the_other_way_does_not_agree():
    here = as_in_the_post()
    turned = replace(
        here,
        logit_diff=Measured(-here.logit_diff.value),
        attention={role: Measured(found.value[::-1]) for role, found in here.attention.items()},
    )
    rows = [row for step in ("prompt", "colon") for row in rows_of(step, turned, True)]
    assert not any(row.agrees for row in rows)
    assert sentence("prompt", turned, True).startswith("Unlike in the post")


def test_elsewhere_a_head_is_the_one_of_the_same_rank():
    scores = np.arange(12.0).reshape(3, 4) / 100
    here = replace(as_in_the_post(), scores={"z": Measured(scores)})
    assert top_heads(here, False) == [(2, 3), (2, 2), (2, 1), (2, 0), (1, 3), (1, 2)]
    assert [row.here_head for row in rows_of("outputs", here, False)][:2] == ["L2H3", "L2H2"]
    # By name these heads are not there at all.
    assert all(np.isnan(row.here) and row.agrees is None for row in rows_of("outputs", here, True))


def test_like_with_like_takes_the_contrast_of_four_heads_with_one_apart():
    here = as_in_the_post()
    assert "the contrast is gone" in sentence("values", here, False)
    strong = {**here.scores, "value_only": Measured(np.full((LAYERS, HEADS), 0.2))}
    assert "the contrast stays" in sentence("values", replace(here, scores=strong), False)


def test_a_head_whose_weights_move_little_of_what_its_output_moves_mostly_carries():
    here = as_in_the_post()
    assert "Of these 6 heads 6 mostly carry" in sentence("origin", here, True)
    own = {**here.scores, "w_head": here.scores["z"]}
    assert "Of these 6 heads 0 mostly carry" in sentence("origin", replace(here, scores=own), True)


def test_an_average_is_shown_with_its_interval():
    scores = np.full((3, 4), 0.1)
    here = replace(as_in_the_post(), scores={"z": Measured(scores, scores - 0.05, scores + 0.05)}, prompts=40)
    row = rows_of("outputs", here, False)[0]
    assert (row.low, row.high) == pytest.approx((0.05, 0.15))
    assert written(row, 3) == ("20% (L30H31)", "10% (L0H0) [5%, 15%]")


def test_what_is_not_computed_is_said_and_no_number():
    here = Here(Measured(np.array([-1.0, 2.0])))
    for step in STEPS[1:]:
        assert sentence(step, here, False) == NOT_YET
        assert all(np.isnan(row.here) and row.agrees is None for row in rows_of(step, here, False))
    assert to_frame(every_row(here, False))["here"].notna().sum() == 2
    assert written(rows_of("layers", here, False)[0], 4) == ("layer 30 of 32", "…")
    without = replace(here, reason="the gap is negative", scores={})
    assert sentence("outputs", without, False) == "Nothing to compare: the gap is negative."


def test_the_posts_own_pair_and_prompt_are_known_from_others():
    assert [name for name, spec in registry().items() if post.is_posts_pair(spec)] == ["llama-3.1-8b"]
    assert post.is_posts_prompt(Experiment()) and not post.is_posts_prompt(Experiment(sentence="The big dog."))
