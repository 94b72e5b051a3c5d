"""Rows that begin late in the prompt run on the tokens from there on, and say what whole runs say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.keys_values import Shared
from core.patching import growing_pass
from core.patching.chunks import beginning, chunks
from core.patching.growing_pass import shape_of
from core.patching.measures import MEASURES
from core.patching.plan import SITES, Patch, Shape, position_rows, sweep_rows
from core.patching.sweeps import patch_sets, position_map, run_plan, sweep
from tests.random_models import CASE_NAMES, CASES, FAMILIES

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
every_family = pytest.mark.parametrize("family", FAMILIES)


def whole(recordings):
    """The same recordings without keys and values to go on from: every row runs on all tokens."""
    return tuple(replace(recording, past=()) for recording in recordings)


@pytest.fixture
def tokens_run(monkeypatch):
    """How many tokens each pass ran."""
    lengths, grow = [], growing_pass.Growth

    def counted(sources, shape, rows, checkpoint, before, *rest):
        lengths.append(shape.positions - before)
        return grow(sources, shape, rows, checkpoint, before, *rest)

    monkeypatch.setattr(growing_pass, "Growth", counted)
    return lengths


@every_case
@pytest.mark.parametrize("back", [1, 4])
def test_a_late_row_says_what_it_says_on_all_tokens(pair_of, tokens_run, family, groups, back):
    """At every site, from behind the start of a window of 8 tokens, where a family has one."""
    pair = pair_of(family, groups, torch.float64)
    positions = len(pair.prompt.ids) - back
    assert positions > 8
    for site in SITES:
        if site == "resid_mid" and family == "neox":
            continue
        tokens_run.clear()
        late = sweep(pair.recordings, pair.prompt, site, positions=positions)
        assert set(tokens_run) == {back}
        expected = sweep(whole(pair.recordings), pair.prompt, site, positions=positions)
        np.testing.assert_allclose(late.logit_diff, expected.logit_diff, rtol=0, atol=1e-6, err_msg=site)
        np.testing.assert_allclose(late.measure("kl_donor"), expected.measure("kl_donor"), rtol=0, atol=1e-6)
        assert late.gap.no_op < 1e-6
        assert np.abs(expected.effect).max() > 1e-6


@every_case
def test_no_family_copies_the_keys_and_values_before_for_its_rows(pair_of, monkeypatch, family, groups):
    def whole(shared):
        raise AssertionError("copied")

    monkeypatch.setattr(Shared, "whole", property(whole))
    pair = pair_of(family, groups, torch.float32)
    assert np.isfinite(sweep(pair.recordings, pair.prompt, "pattern_only", positions="end").logit_diff).all()


def test_shared_keys_are_the_whole_tensor_to_whatever_asks_for_more_than_a_product():
    known, new = torch.randn(1, 2, 5, 3), torch.randn(4, 2, 2, 3)
    whole = torch.cat([known.expand(4, -1, -1, -1), new], 2)
    for shared, expected in (
        (Shared(known, new), whole),
        (Shared(known, new, 3), whole.repeat_interleave(3, 1)),
        (Shared(known, new, 3, turned=True), whole.repeat_interleave(3, 1).transpose(-2, -1)),
    ):
        assert shared.shape == expected.shape
        for found, want in (
            (torch.add(shared, 1), expected + 1),
            (shared[:, :, 1:], expected[:, :, 1:]),
            (shared.contiguous(), expected),
            (shared.transpose(0, 1), expected.transpose(0, 1)),
            (shared.transpose(2, 3), expected.transpose(2, 3)),
            (torch.matmul(torch.ones(2, expected.shape[2]), shared), torch.ones(2, expected.shape[2]) @ expected),
        ):
            torch.testing.assert_close(getattr(found, "whole", found), want)
        x = torch.randn(*expected.shape[:2], 2, expected.shape[2])
        torch.testing.assert_close(torch.matmul(x, shared), x @ expected)


@every_family
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_in_the_other_dtypes_to_their_rounding(pair_of, family, dtype):
    pair = pair_of(family, 4, dtype)
    for site in ("z", "pattern_only"):
        late = sweep(pair.recordings, pair.prompt, site, positions="end")
        expected = sweep(whole(pair.recordings), pair.prompt, site, positions="end")
        far = 1e-5 if dtype == torch.float32 else 4 * expected.gap.floor.highest + 0.05
        np.testing.assert_allclose(late.logit_diff, expected.logit_diff, rtol=0, atol=far)


@every_family
def test_a_map_over_positions_runs_each_row_from_its_own_position_on(pair_of, tokens_run, family):
    pair = pair_of(family, 4, torch.float64)
    late = position_map(pair.recordings, pair.prompt, "attn_out")
    expected = position_map(whole(pair.recordings), pair.prompt, "attn_out")
    np.testing.assert_allclose(late.logit_diff, expected.logit_diff, rtol=0, atol=1e-6)
    for name in MEASURES:
        assert np.isfinite(late.measure(name)).all()


def test_a_set_begins_at_the_first_of_its_positions(pair_of, tokens_run):
    pair = pair_of("qwen3", 2, torch.float64)
    row = (Patch(0, "z", (1,), (7, 9)), Patch(1, "pattern_only", (0,), (8,)), Patch(1, "v", (1,), (11,)))
    how = ("instruct_to_base", lambda gap, values, measures: values)
    late = run_plan(pair.recordings, pair.prompt, [row], *how)
    assert set(tokens_run) == {len(pair.prompt.ids) - 7}
    np.testing.assert_allclose(late, run_plan(whole(pair.recordings), pair.prompt, [row], *how), rtol=0, atol=1e-6)
    both = patch_sets(pair.recordings, pair.prompt, [[(0, 1), (1, 2)]], positions="end")
    assert np.isfinite(both.logit_diff).all() and tokens_run[-1] == 1


def test_a_patch_of_all_positions_or_the_first_runs_on_all_tokens(pair_of, tokens_run):
    pair = pair_of()
    for positions in ("all", 0):
        sweep(pair.recordings, pair.prompt, positions=positions)
    assert set(tokens_run) == {len(pair.prompt.ids)}


def test_chunks_begin_late_first_and_hold_no_more_than_fits_from_where_they_begin():
    shape = Shape(layers=3, heads=2, groups=2, positions=5)
    rows = position_rows("attn_out", shape)
    made = chunks(rows, lambda start: 12 // (shape.positions - start), waste=100)
    assert sorted(i for chunk in made for i in chunk) == list(range(15))
    starts = [[beginning(rows[i]) for i in chunk] for chunk in made]
    assert sorted(starts[0]) == [3, 3, 3, 4, 4, 4] and all(len(each) <= 12 // (5 - min(each)) for each in starts)
    assert [min(each) for each in starts] == sorted(map(min, starts), reverse=True)
    assert beginning(sweep_rows("z", (), shape)[0]) == 0


@pytest.mark.parametrize("waste", [0, 5, 9, 20])
def test_a_chunk_ends_before_its_early_rows_cost_its_late_ones_too_much(waste):
    rows = position_rows("attn_out", Shape(layers=3, heads=2, groups=2, positions=5))
    made = chunks(rows, lambda start: 100, waste)
    lost = [sum(beginning(rows[i]) - min(beginning(rows[j]) for j in chunk) for i in chunk) for chunk in made]
    assert max(lost) <= waste and len(made) == {0: 5, 5: 3, 9: 2, 20: 2}[waste]


def test_a_recording_keeps_every_layers_keys_and_values_and_counts_them(pair_of):
    base, _ = pair_of("llama", 2).recordings
    keys, values = base.past[1]
    assert len(base.past) == 2 and keys.shape == values.shape == (1, 2, shape_of(base).positions, 12)
    torch.testing.assert_close(values[0].transpose(0, 1), base.layer(1, "attn.hook_v"))
    assert base.nbytes > replace(base, past=()).nbytes
