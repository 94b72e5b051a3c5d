"""How a plan runs: memory, chunks, progress, cancellation."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from core.experiment import InputError
from core.patching.budget import Budget, default_budget, row_bytes
from core.patching.chunks import chunks, lowest
from core.patching.growing_pass import run_rows, shape_of
from core.patching.plan import Patch, sweep_rows
from core.patching.sweeps import patch_sets, run_plan, sweep
from core.recording import record
from tests.random_llama import random_llama, recorded_pair
from tests.random_models import FAMILIES


def peak_bytes(work) -> int:
    """The most that torch's allocator held at once on the CPU during `work`, beyond what it held before."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return int(np.cumsum(changes).max())


# Widths that put the peak in turn into the MLP, the attention's scores, and the heads.
SHAPES = {
    "wide MLP": dict(d_model=64, d_head=8, d_mlp=512, tokens=24),
    "long prompt": dict(d_model=32, d_head=8, d_mlp=32, tokens=128),
    "wide heads": dict(d_model=64, d_head=64, d_mlp=64, tokens=24),
    "wide stream": dict(d_model=512, d_head=8, d_mlp=32, tokens=24),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_pass_stays_within_the_bytes_it_was_given(tmp_path, name):
    shape = dict(SHAPES[name])
    tokens = shape.pop("tokens")
    recordings, prompt = recorded_pair(random_llama(layers=2, heads=8, **shape), tmp_path, tokens)
    budget = Budget(9 * row_bytes(recordings[0], 4), 10**9)
    peaks = {
        site: peak_bytes(lambda: sweep(recordings, prompt, site, budget=budget))
        for site in ("z", "v", "pattern_only", "result", "joint_value_only")
    }
    assert max(peaks.values()) <= budget.bytes, peaks
    # Not by holding back: what it may hold it makes use of.
    assert peaks["z"] > budget.bytes / 4, peaks


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_the_bound_on_bytes_holds_in_every_family(pair_of, family, dtype):
    pair = pair_of(family, 4, dtype)
    budget = Budget(9 * row_bytes(pair.recordings[0], 1), 10**9)
    assert peak_bytes(lambda: sweep(pair.recordings, pair.prompt, "pattern_only", budget=budget)) <= budget.bytes


def test_whole_layers_of_heads_in_one_set_stay_within_the_bytes(tmp_path):
    recordings, prompt = recorded_pair(random_llama(2, 8, 64, 8, 32), tmp_path, 24)
    everything = [(layer, head) for layer in range(2) for head in range(8)]
    for site in ("pattern_only", "result"):
        budget = Budget(6 * row_bytes(recordings[0], 8), 10**9)
        assert peak_bytes(lambda: patch_sets(recordings, prompt, [everything] * 5, site, budget=budget)) <= budget.bytes


@pytest.mark.parametrize("site", ["pattern_only", "value_only", "z"])
def test_many_named_positions_stay_within_the_bytes(tmp_path, site):
    recordings, prompt = recorded_pair(random_llama(2, 8, 64, 16, 32), tmp_path, 96)
    row = (Patch(1, site, tuple(range(8)), tuple(range(96))),)
    # At each of them a counterfactual holds the values of every position: as much room as some 21 heads take.
    budget = Budget(4 * row_bytes(recordings[0], 8 * 21), 10**9)

    def work():
        return run_plan(
            recordings, prompt, [row] * 9, "instruct_to_base", lambda gap, logit_diff, _: logit_diff, budget
        )

    assert peak_bytes(work) <= budget.bytes


def test_nothing_of_a_layer_is_kept_while_the_next_ones_run(tmp_path):
    """Keys and values of every row in each of 32 layers would take more than the pass itself."""
    recordings, prompt = recorded_pair(random_llama(32, 8, 32, 64, 32), tmp_path, 24)
    budget = Budget(9 * row_bytes(recordings[0], 1), 10**9)
    singles = [[(0, head)] for head in range(8)]
    assert peak_bytes(lambda: patch_sets(recordings, prompt, singles, budget=budget)) <= budget.bytes


def test_a_budget_too_small_for_one_patched_row_is_refused_with_what_it_takes(pair_of):
    pair = pair_of()
    with pytest.raises(InputError, match="MB at least"):
        sweep(pair.recordings, pair.prompt, budget=Budget(row_bytes(pair.recordings[0], 1), 10**9))


def test_the_default_budget_is_a_share_of_the_free_memory(pair_of, monkeypatch):
    import psutil

    bridge = pair_of().bridges[0]
    free = psutil.virtual_memory()._replace(available=10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert default_budget(bridge).bytes == 10**9 // 2


def test_chunks_go_from_the_deepest_layers_up_and_hold_every_row_once(pair_of):
    rows = sweep_rows("z", (), shape_of(pair_of().recordings[0]))
    rows.append((Patch(1, "z", (0,)), Patch(0, "z", (1,))))
    made = chunks(rows, lambda start: 3, waste=0)
    assert sorted(i for chunk in made for i in chunk) == list(range(9))
    layers = [[lowest(rows[i]) for i in chunk] for chunk in made]
    assert layers == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_partial_results_fill_up_and_never_change_what_has_run(pair_of):
    pair, seen = pair_of(), []
    budget = Budget(10**9, 3 * len(pair.prompt.ids))
    last = sweep(pair.recordings, pair.prompt, budget=budget, progress=lambda *report: seen.append(report))
    counts = [done for done, _, _ in seen]
    assert (
        counts == sorted(counts) and counts[:2] == [2, 4] and counts[-1] == 8 and {total for _, total, _ in seen} == {8}
    )
    for done, _, partial in seen:
        ran = np.isfinite(partial.logit_diff)
        assert partial.done == ran.sum() == done and partial.complete == (done == 8)
        np.testing.assert_array_equal(partial.logit_diff[ran], last.logit_diff[ran])
        assert ran[1].all() or not ran[0].any()
        assert np.isfinite(partial.gap.no_op)


class Cancelled(BaseException):
    """What a worker raises in a job that nobody waits for; no ordinary exception."""


@pytest.mark.parametrize("calls", range(1, 8))
@pytest.mark.parametrize("family", ["llama", "gemma2", "neox"])
def test_cancelling_at_any_checkpoint_leaves_the_bridge_as_it_was(pair_of, family, calls):
    pair = pair_of(family, 4)
    left = [calls]

    def checkpoint():
        left[0] -= 1
        if not left[0]:
            raise Cancelled

    with pytest.raises(Cancelled):
        budget = Budget(10**9, 3 * len(pair.prompt.ids))
        sweep(pair.recordings, pair.prompt, "value_only", budget=budget, checkpoint=checkpoint)
    bridge = pair.bridges[0]
    assert not any(point.has_hooks() for point in bridge.hook_dict.values())
    assert not any("forward" in vars(module) for module in bridge.modules())
    again = record(bridge, pair.prompt.ids)
    torch.testing.assert_close(again.next_token_logits, pair.recordings[0].next_token_logits, rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("site", ["z", "v", "k", "pattern", "value_only", "pattern_only", "result", "attn_out"])
def test_a_sweep_of_a_bfloat16_model_is_the_float32_sweep_up_to_rounding(pair_of, family, site):
    coarse, fine = pair_of(family, 4, torch.bfloat16), pair_of(family, 4)
    found, expected = (sweep(pair.recordings, pair.prompt, site) for pair in (coarse, fine))
    assert np.abs(found.effect - expected.effect).max() < 0.35
    assert found.gap.no_op < 0.1


def test_a_sweep_leaves_the_recordings_as_they_were(pair_of):
    pair = pair_of()
    before = [{name: x.clone() for name, x in recording.activations.items()} for recording in pair.recordings]
    for site in ("z", "v", "resid_pre", "resid_mid", "pattern", "value_only", "pattern_only", "result"):
        sweep(pair.recordings, pair.prompt, site)
        sweep(pair.recordings, pair.prompt, site, "base_to_instruct")
    for recording, kept in zip(pair.recordings, before):
        assert all(torch.equal(recording.activations[name], x) for name, x in kept.items())


def test_no_logits_are_formed_for_the_rows(pair_of):
    pair, shapes = pair_of(), []
    bridge = pair.bridges[0]
    point = bridge.hook_dict["unembed.hook_in"]
    handle = point.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape[:2])))
    try:
        sweep(pair.recordings, pair.prompt)
    finally:
        handle.remove()
    assert shapes == []


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_below_the_lowest_patch_are_not_run(pair_of, family):
    pair, ran = pair_of(family, 4), []
    bridge = pair.bridges[0]
    handles = [
        bridge.hook_dict[f"blocks.{layer}.hook_out"].register_forward_hook(lambda *args, layer=layer: ran.append(layer))
        for layer in range(2)
    ]
    try:
        found = patch_sets(pair.recordings, pair.prompt, [[(1, head)] for head in range(4)])
    finally:
        for handle in handles:
            handle.remove()
    assert ran == [1]
    expected = sweep(pair.recordings, pair.prompt).logit_diff[1]
    np.testing.assert_allclose(found.logit_diff, expected, rtol=0, atol=1e-5)
    assert np.ptp(expected) > 1e-4


@pytest.mark.parametrize("site, first, second", [("z", 1, 5), ("q", 5, 9)])
def test_only_rows_that_need_it_run_the_attention_of_the_layer_that_they_join_in(pair_of, site, first, second):
    """Four heads a layer and a no-op."""
    pair, attended = pair_of(), {}
    bridge, rows = pair.bridges[0], sweep_rows(site, (), shape_of(pair.recordings[0]))
    handles = [
        bridge.hook_dict[f"blocks.{layer}.attn.hook_pattern"].register_forward_hook(
            lambda module, args, output, layer=layer: attended.update({layer: len(output)})
        )
        for layer in range(2)
    ]
    try:
        run_rows(*pair.recordings, rows, (3, 4), Budget(10**9, 10**6))
    finally:
        for handle in handles:
            handle.remove()
    assert attended == {0: first, 1: second}
