"""Patching where memory runs out, and where the library's norms are no longer those that the pass runs."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from core import norms
from core.experiment import InputError
from core.patching import growing_pass, shortage
from core.patching.sweeps import sweep

SHORT = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
    "library": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "driver": RuntimeError("CUDA error: out of memory"),
    "hip": RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 5 GB, max allowed: 9 GB). Tried to allocate 1 GB"),
    "c++": RuntimeError("std::bad_alloc"),
    "python": MemoryError(),
}


@pytest.fixture
def passes(monkeypatch):
    """Passes of more than `most` rows find no memory; holds the rows of every pass that was tried."""

    class Passes(list):
        most = 1000
        error: Exception = SHORT["cuda"]

    tried, grow = Passes(), growing_pass._grow

    def short(sources, rows, *more):
        tried.append(len(rows))
        if len(rows) > tried.most:
            raise tried.error
        return grow(sources, rows, *more)

    monkeypatch.setattr(growing_pass, "_grow", short)
    return tried


@pytest.mark.parametrize("kind", SHORT)
def test_a_chunk_without_room_runs_in_halves_and_gives_the_same_numbers(pair_of, passes, kind):
    pair = pair_of()
    expected = sweep(pair.recordings, pair.prompt)
    whole = passes[-1]
    passes.most, passes.error = whole // 4, SHORT[kind]
    passes.clear()
    seen = []
    found = sweep(pair.recordings, pair.prompt, progress=lambda done, total, partial: seen.append(done))
    # Up to rounding, which depends on how many rows run at once.
    np.testing.assert_allclose(found.logit_diff, expected.logit_diff, rtol=0, atol=1e-6)
    assert passes[:3] == [whole, whole // 2, whole // 4] and max(passes[2:]) == whole // 4
    assert seen == sorted(seen) and seen[-1] == found.logit_diff.size


def test_after_three_halvings_one_message_says_what_would_fit(pair_of, passes):
    pair = pair_of()
    sweep(pair.recordings, pair.prompt)
    whole = passes.pop()
    passes.most = 0
    with pytest.raises(
        InputError, match=rf"{len(pair.prompt.ids)} tokens ran out of memory.*tokens would fit"
    ) as error:
        sweep(pair.recordings, pair.prompt)
    assert error.value.field == "sentence"
    assert passes == [whole, whole // 2, whole // 4, whole // 8]


def test_any_other_error_is_not_taken_for_a_lack_of_memory(pair_of, passes):
    passes.most, passes.error = 0, RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")
    with pytest.raises(RuntimeError, match="must match"):
        sweep(pair_of().recordings, pair_of().prompt)
    assert len(passes) == 1


def test_what_a_failed_pass_held_is_released_before_the_next_try(pair_of, passes, monkeypatch):
    import weakref

    living, at_collection = [], []

    def failing(part):
        held = torch.zeros(10)
        living.append(weakref.ref(held))
        if len(part) > 1:
            raise RuntimeError(str(SHORT["cpu"]))
        return held

    monkeypatch.setattr(shortage.gc, "collect", lambda: at_collection.append([ref() is None for ref in living]))
    assert [part for part, _ in shortage.within_memory(pair_of().recordings[0], [[1, 2, 3]], failing)] == [
        [3],
        [2],
        [1],
    ]
    assert at_collection == [[True]]


def test_norms_that_no_longer_give_the_bridges_numbers_run_as_they_are(booted, pair_of, monkeypatch, caplog):
    from core.recording import record

    pair = pair_of()
    expected, bridges = sweep(pair.recordings, pair.prompt), (booted(), booted(model="instruct"))
    once = norms._once
    monkeypatch.setattr(norms, "_once", lambda norm: lambda x: 1.001 * once(norm)(x))
    with caplog.at_level(logging.WARNING):
        recordings = tuple(record(bridge, pair.prompt.ids) for bridge in bridges)
        found = sweep(recordings, pair.prompt)
        sweep(recordings, pair.prompt, "v")
    np.testing.assert_array_equal(found.logit_diff, expected.logit_diff)
    assert [record.message for record in caplog.records if "slower" in record.message] == [
        "norms computed once differ from the bridge's own: it computes them twice, and is slower"
    ] * 2


def test_norms_that_do_run_once(pair_of):
    bridge = pair_of().bridges[0]
    assert len(norms.norms_once(bridge)) == 2 * bridge.cfg.n_layers + 1
