"""Averages over prompts on values whose truth is known: what intervals cover, what tests find, what ranks keep."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from transformer_lens.utilities.statistics import bootstrap_ci, sign_flip_permutation_pvalue, standard_error

from core.sets import statistics
from core.sets.statistics import average, corrected, permutation_p, ratio_of_means, resampled_means, top_share

SAMPLES = 1000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def coverage(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.parametrize("n", [12, 40, 200])
def test_the_interval_of_a_mean_covers_the_truth_in_95_of_100_samples(n):
    # Each cell is a sample of its own.
    found = average(rng().normal(0.3, 1.0, (n, SAMPLES)))
    assert 0.93 <= coverage(found.ci_low, found.ci_high, 0.3) <= 0.97


def test_the_interval_covers_a_mean_of_skewed_values_too():
    found = average(rng().exponential(1.0, (100, SAMPLES)))
    assert 0.93 <= coverage(found.ci_low, found.ci_high, 1.0) <= 0.97


@pytest.mark.parametrize("n", [40, 100])
def test_the_interval_of_a_ratio_of_means_covers_the_truth_where_single_gaps_are_near_zero(n):
    """Effects are 0.2 of the gap with noise of their own; gaps go down to zero and below, their mean is 3."""
    draw, found = rng(1), []
    for _ in range(SAMPLES):
        gap = draw.normal(3.0, 2.0, n)
        found.append(ratio_of_means(0.2 * gap[:, None] + draw.normal(0, 0.3, (n, 1)), gap))
    low, high = (np.concatenate([getattr(each, name) for each in found]) for name in ("ci_low", "ci_high"))
    assert 0.93 <= coverage(low, high, 0.2) <= 0.97


def test_the_ratio_of_means_is_stable_where_the_mean_of_ratios_is_not():
    draw = rng(2)
    gap = draw.normal(3.0, 2.0, (200, SAMPLES))
    gap[0] = 1e-6
    effect = 0.2 * gap + draw.normal(0, 0.3, gap.shape)
    ratios = np.array([ratio_of_means(effect[:, [i]], gap[:, i]).value[0] for i in range(50)])
    assert np.abs(ratios - 0.2).max() < 0.03
    assert np.abs((effect / gap).mean(0)[:50] - 0.2).max() > 100


def test_there_is_no_share_of_a_mean_gap_within_half_a_logit():
    effect = np.ones((30, 2))
    for gap, there in ((0.4, False), (-0.4, False), (0.6, True), (-3.0, False)):
        found = ratio_of_means(effect, np.full(30, gap))
        assert np.isfinite([found.value, found.ci_low, found.ci_high]).all() == there
    assert np.allclose(ratio_of_means(-effect, np.full(30, 2.0)).value, -0.5)


def test_benjamini_hochberg_keeps_the_false_discovery_rate():
    """200 maps of 40 cells, 10 of them true: of the cells with q ≤ .1 on average a tenth may be false, times 3/4."""
    draw, false = rng(3), []
    truth = np.where(np.arange(40) < 10, 0.8, 0.0)
    for _ in range(200):
        q = corrected(permutation_p(draw.normal(truth, 1.0, (12, 40))))
        found = q <= 0.1
        false.append((found & (truth == 0)).sum() / max(found.sum(), 1))
    assert 0.04 <= np.mean(false) <= 0.1


def test_without_correction_it_would_not_be_kept():
    p = permutation_p(rng(3).normal(0, 1.0, (12, 1000)))
    assert (p <= 0.1).mean() > 0.08 and (corrected(p) <= 0.1).mean() < 0.01


def test_p_is_uniform_where_nothing_is_there_and_small_where_something_is():
    p = permutation_p(rng(4).normal(0, 1, (40, 2000)))
    assert all(abs((p <= level).mean() - level) < 0.02 for level in (0.05, 0.2, 0.5, 0.8))
    assert permutation_p(rng(4).normal(1, 1, (200, 3))).max() == 1 / (statistics.FLIPS + 1)
    assert (permutation_p(np.zeros((40, 2))) == 1).all()


def test_exact_p_and_standard_error_are_transformer_lens():
    values = rng(5).normal(0.4, 1, (9, 20))
    reference = torch.from_numpy(values)
    assert np.allclose(permutation_p(values), sign_flip_permutation_pvalue(reference, dim=0), rtol=0, atol=1e-12)
    assert np.allclose(average(values).se, standard_error(reference, dim=0), rtol=1e-12, atol=0)


def test_random_p_and_the_interval_are_close_to_transformer_lens_own_draws():
    values = rng(6).normal(0.1, 1, (200, 8))
    reference = torch.from_numpy(values)
    p = sign_flip_permutation_pvalue(reference, dim=0, n_permutations=10_000)
    assert np.abs(permutation_p(values) - p.numpy()).max() < 0.03
    low, high = bootstrap_ci(reference, dim=0, n_resamples=10_000)
    found = average(values)
    # A tenth of the interval's width is what two sets of draws differ by.
    assert np.abs(found.ci_low - low.numpy()).max() < 0.04 and np.abs(found.ci_high - high.numpy()).max() < 0.04


def test_a_draw_takes_n_prompts_and_the_same_ones_for_every_cell():
    values = np.eye(6)
    drawn = resampled_means(values) * 6
    assert np.allclose(drawn.sum(1), 6) and np.allclose(drawn, drawn.round(), atol=1e-9)
    both = resampled_means(np.column_stack([values, 2 * values]))
    assert np.allclose(both[:, 6:], 2 * both[:, :6])
    assert np.allclose(drawn / 6, both[:, :6])


def test_stable_ranks_are_told_from_ties():
    """Three cells far above all others are always among the three first; four equal ones share the last place."""
    draw = rng(7)
    clear = draw.normal([5, -4, 3, 0.1, 0.1, 0.1, 0.1], 0.5, (100, 7))
    assert list(top_share(clear, 3)[:3]) == [1, 1, 1]
    shares = top_share(clear, 4)
    assert np.isclose(shares.sum(), 4) and (shares[3:] < 0.9).all()
    assert (top_share(clear, 20) == 1).all()


def test_sign_consistency_counts_prompts_on_the_means_side():
    values = np.array([[1.0, -1.0], [2.0, -1.0], [3.0, -1.0], [-1.0, -1.0]])
    assert list(average(values).same_sign) == [0.75, 1.0]


def test_cells_keep_their_shape_and_few_prompts_leave_out_what_they_cannot_say():
    values = rng(8).normal(size=(5, 2, 3))
    for found in (average(values).mean, average(values).ci_high, permutation_p(values), top_share(values)):
        assert found.shape == (2, 3)
    one = average(values[:1])
    assert np.array_equal(one.mean, values[0]) and np.isnan([one.se, one.ci_low, one.ci_high]).all()
    assert one.spans_zero.all() and average(values[:0]).n == 0 and np.isnan(average(values[:0]).mean).all()
    assert np.isnan(ratio_of_means(values[:0], np.zeros(0)).value).all()


def test_the_same_values_give_the_same_numbers_and_chunks_add_up():
    values = rng(9).normal(size=(50, 4))
    assert np.array_equal(average(values).ci_low, average(values.copy()).ci_low)
    assert np.array_equal(permutation_p(values), permutation_p(values))
    sizes = [statistics._chunks(n, total) for n, total in itertools.product((1, 50, 10_000_000), (1, 2000))]
    assert all(sum(each) in (1, 2000) and min(each) > 0 for each in sizes)
