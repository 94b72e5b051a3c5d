"""A plan that was broken off goes on: nothing that has run is run again, and every number is the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.patching import growing_pass
from core.patching.begun import Begun
from core.patching.budget import Budget
from core.patching.sweeps import patch_pairs, position_map, sweep
from tests.random_llama import random_llama, recorded_pair

TOKENS, ROWS = 24, 40
BUDGET = Budget(10**9, (ROWS + 1) * TOKENS)  # ROWS rows a chunk, beside the no-op
OF_ONE_TOKEN = Budget(10**9, ROWS + 1)  # the same of rows that run at END alone
BUDGETS = {"sweep of groups at END": OF_ONE_TOKEN}
MEMBERS = [(layer, head) for layer in (2, 9, 15) for head in range(5)]
PLANS = {
    "sweep of heads": lambda *given, **how: sweep(*given, "z", **how),
    "sweep of groups at END": lambda *given, **how: sweep(*given, "v", "base_to_instruct", "end", **how),
    "map of positions": lambda *given, **how: position_map(*given, "resid_mid", **how),
    "pairs": lambda *given, **how: patch_pairs(*given, MEMBERS, **how),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    model = random_llama(layers=16, heads=16, d_model=64, d_head=8, d_mlp=128)
    return recorded_pair(model, tmp_path_factory.mktemp("pair"), TOKENS)


@pytest.fixture
def chunks_run(monkeypatch):
    """The size of every chunk that runs, in order."""
    sizes, grow = [], growing_pass._grow

    def counted(sources, rows, *more):
        sizes.append(len(rows))
        return grow(sources, rows, *more)

    monkeypatch.setattr(growing_pass, "_grow", counted)
    return sizes


class Killed(BaseException):
    """Nothing that runs in a plan may catch it."""


def broken_off(plan, given, after: int, budget: Budget = BUDGET) -> Begun:
    """What was kept of a plan that ended within the chunk after so many."""
    kept: list[Begun] = []

    def checkpoint() -> None:
        if len(kept) == after:
            raise Killed

    with pytest.raises(Killed):
        plan(*given, budget=budget, keep=kept.append, checkpoint=checkpoint)
    return kept[-1]


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_goes_on_with_what_is_missing_and_ends_in_the_same_table(given, chunks_run, name):
    plan, budget = PLANS[name], BUDGETS.get(name, BUDGET)
    whole = plan(*given, budget=budget)
    every = list(chunks_run)
    half = len(every) // 2
    begun = broken_off(plan, given, half, budget)
    chunks_run.clear()
    resumed = plan(*given, budget=budget, begun=begun)
    assert half and chunks_run == every[half:]
    pd.testing.assert_frame_equal(resumed.to_frame(), whole.to_frame(), check_exact=True)
    assert resumed.gap == whole.gap and resumed.gap.floor.measured


def test_what_had_run_is_on_screen_before_the_next_chunk(given, chunks_run):
    begun, shown = broken_off(PLANS["sweep of heads"], given, 2), []
    sweep(*given, budget=BUDGET, begun=begun, progress=lambda done, total, partial: shown.append((done, partial.done)))
    assert shown[0] == (shown[0][1],) * 2 and 0 < shown[0][0] <= np.isfinite(begun.logit_diff).sum()
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)


def test_rows_missing_within_a_chunk_run_alone(given, chunks_run):
    kept: list[Begun] = []
    whole = sweep(*given, budget=BUDGET, keep=kept.append)
    holed = kept[-1].logit_diff.copy()
    holed[[7, 200]] = np.nan
    chunks_run.clear()
    resumed = sweep(*given, budget=BUDGET, begun=Begun(holed, kept[-1].no_op, kept[-1].measures))
    assert chunks_run == [1, 1]
    np.testing.assert_allclose(resumed.logit_diff, whole.logit_diff, atol=1e-5)


def test_the_beginning_of_another_plan_is_none(given, chunks_run):
    begun = broken_off(PLANS["sweep of groups at END"], given, 1, OF_ONE_TOKEN)
    chunks_run.clear()
    whole = sweep(*given, budget=BUDGET, begun=begun)
    assert sum(chunks_run) == len(begun.logit_diff) - 64 + 256 and whole.complete
