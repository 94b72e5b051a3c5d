"""What a plan costs is what the growing pass then runs: counted in token-layers, before and while it runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from core.patching import cost
from core.patching.card import card
from core.patching.greedy import greedy
from core.patching.growing_pass import shape_of
from core.patching.origin import early_late, smallest_block
from core.patching.plan import CANDIDATES, Shape
from core.patching.sweeps import patch_pairs, position_map, sweep

SHAPE = Shape(layers=30, heads=9, groups=3, positions=125)
MEMBERS = ((0, 1), (1, 0), (1, 3))


@pytest.fixture
def token_layers(pair_of):
    """work → what of the recipient's blocks ran for it: of every call, new rows' positions."""
    bridge = pair_of().bridges[0]

    def counted(work) -> int:
        ran, handles = [], []
        for block in bridge.blocks:
            # Behind the hooks that let rows join, before those that spare some of them the attention.
            handles.append(block.ln1.register_forward_pre_hook(_count(ran), with_kwargs=True))
        try:
            work()
        finally:
            for handle in handles:
                handle.remove()
        return sum(ran)

    return counted


def _count(ran: list[int]):
    def count(module, args, kwargs) -> None:
        x = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        ran.append(x.shape[0] * x.shape[1])

    return count


def test_a_sweeps_rows_cost_the_tokens_and_layers_that_they_run(token_layers, pair_of):
    """Beside the floor's rows and a no-op for every chunk."""
    pair = pair_of()
    shape = shape_of(pair.recordings[0])
    for site, positions in (("z", "all"), ("mlp_out", "end"), ("v", shape.positions - 3)):
        expected = cost.of_sweep(shape, site=site, positions=positions, direction="instruct_to_base")
        one = 1 if positions == "end" else 3 if positions != "all" else shape.positions
        ran = token_layers(lambda: sweep(pair.recordings, pair.prompt, site, positions=positions))
        rows = 2 * shape.width(site)
        assert expected.exact and len(expected.parts) == rows
        assert expected.parts.sum() == shape.width(site) * one * (1 + 2)
        # Two layers have two thirds with rows: 8 jittered rows and a no-op each, of 2 layers and 1; one no-op of both.
        assert ran == expected.parts.sum() + one * (9 * (2 + 1) + 2)


def test_every_longer_plan_counts_its_parts_as_its_progress_does(pair_of):
    pair = pair_of()
    given, shape, seen = (pair.recordings, pair.prompt), shape_of(pair.recordings[0]), []
    watch = dict(progress=lambda done, total, partial: seen.append((done, total)))
    position_map(*given, "mlp_out", **watch)
    assert seen.pop()[1] == len(cost.of_position_map(shape, site="mlp_out").parts)
    patch_pairs(*given, MEMBERS, **watch)
    assert seen.pop()[1] == len(cost.of_pairs(shape, members=MEMBERS, site="z", positions="all").parts)
    early_late(*given, **watch)
    assert seen.pop()[1] == len(cost.of_early_late(shape).parts)
    greedy(*given, 3, **watch)
    built = cost.of_greedy(shape, steps=3, site="z", positions="all", candidates=CANDIDATES)
    assert seen.pop()[1] == len(built.parts) and not built.exact


@pytest.mark.parametrize("count", [3, 8])
def test_a_card_costs_no_more_than_is_said_before_and_not_much_less(token_layers, pair_of, count):
    """Beside the floors' rows and a no-op for every chunk."""
    pair, seen = pair_of(), []
    shape = shape_of(pair.recordings[0])
    members = tuple(product(range(shape.layers), range(shape.heads)))[:count]
    watch = dict(progress=lambda done, total, partial: seen.append(total))
    ran = token_layers(lambda: card(pair.recordings, pair.prompt, members, **watch))
    most = cost.of_card(shape, members=members, site="z", positions="all")
    assert not most.exact and max(seen) <= len(most.parts) <= 1.3 * max(seen)
    beside = shape.positions * (2 * 8 * (2 + 1) + shape.layers * len(seen))
    assert ran <= most.parts.sum() + beside and most.parts.sum() <= 1.3 * ran


def test_the_search_for_a_block_takes_no_more_than_its_steps_and_token_layers(token_layers, pair_of):
    """Beside a no-op for every chunk, of which each step has one here."""
    pair, seen = pair_of(), []
    shape = shape_of(pair.recordings[0])
    moved = pair.recordings[1].next_token_logits - pair.recordings[0].next_token_logits
    prompt = replace(pair.prompt, answer_id=int(moved.argmax()), original_id=int(moved.argmin()))
    ran = token_layers(
        lambda: smallest_block(pair.recordings, prompt, progress=lambda done, total, best: seen.append((done, total)))
    )
    most = cost.of_blocks(shape, direction="instruct_to_base")
    assert seen and {total for _, total in seen} == {len(most.parts)} and not most.exact
    assert 0 < ran <= most.parts.sum() + len(most.parts) * shape.layers * shape.positions


def test_at_end_a_plan_costs_a_token_a_layer_and_a_map_half_of_all_tokens():
    assert not cost.of_sweep(SHAPE, site="w_head", positions="all").exact
    of_all, at_end = (cost.of_sweep(SHAPE, site="z", positions=positions) for positions in ("all", "end"))
    np.testing.assert_array_equal(of_all.parts, 125 * at_end.parts)
    assert at_end.parts.sum() == 9 * 30 * 31 / 2
    grid = cost.of_position_map(SHAPE, site="resid_pre")
    assert grid.parts.sum() == 30 * 31 / 2 * 125 * 126 / 2
    most = cost.of_greedy(SHAPE, steps=20, site="z", positions="all", candidates=CANDIDATES).parts
    assert len(most) == sum(CANDIDATES - step for step in range(1, 20)) and most.max() == 30 * 125
