"""Which dtype a pair runs in, and which its weights are stored in."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from core.models.dtype import fitting_dtype, is_below, reference_dtype, stored_dtype
from core.models.loading import find_checkpoints, load_pair
from core.models.pairs import PairSpec, registry
from core.models.room import bytes_needed
from core.precision import StoredGap

TINY = registry()["tiny"]
HALF = PairSpec("half", "half", TINY.base, TINY.instruct, dtype="bfloat16")


@pytest.mark.parametrize(
    "own, device, need, room, taken",
    [
        ("bfloat16", "cpu", 10, 10, "float32"),
        ("float16", "cpu", 10, 11, "float32"),
        ("bfloat16", "cpu", 11, 10, "bfloat16"),
        ("bfloat16", "cuda:1", 1, 10, "bfloat16"),
        ("bfloat16", "mps", 1, 10, "bfloat16"),
        ("float64", "cpu", 1, 10, "float64"),
        ("float32", "cpu", 11, 10, "float32"),
    ],
)
def test_a_half_becomes_float32_on_a_cpu_that_has_the_memory_and_nowhere_else(own, device, need, room, taken):
    assert fitting_dtype(own, device, need, room) == taken


def test_a_pair_named_in_half_precision_loads_in_float32_and_its_manifest_says_so():
    pair = load_pair(HALF, device="cpu")
    assert pair.dtype == pair.manifest["dtype"] == "float32" and pair.base.W_U.dtype == torch.float32
    assert pair.manifest["stored_dtype"] == "float16"


def test_a_dtype_that_was_asked_for_or_alone_fits_is_the_one_that_runs():
    asked = load_pair(HALF, "bfloat16", "cpu")
    assert asked.manifest["dtype"] == "bfloat16" and asked.base.W_U.dtype == torch.bfloat16
    least = bytes_needed(find_checkpoints(HALF), "bfloat16")
    assert load_pair(HALF, device="cpu", limit=least).dtype == "bfloat16"


def test_the_stored_dtype_is_that_of_most_bytes_over_both_folders(tmp_path):
    for name, tensors in {
        "a": {"w": torch.zeros(10, dtype=torch.float32), "i": torch.zeros(3, dtype=torch.int64)},
        "b": {"w": torch.zeros(30, dtype=torch.bfloat16)},
    }.items():
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors", metadata={"format": "pt"})
    assert stored_dtype([tmp_path / "a"]) == "float32"
    assert stored_dtype([tmp_path / "a", tmp_path / "b"]) == "bfloat16"
    (tmp_path / "empty").mkdir()
    assert stored_dtype([tmp_path / "empty"]) == ""
    save_file({"w": torch.zeros(999, dtype=torch.int64)}, tmp_path / "a" / "more.safetensors")
    assert stored_dtype([tmp_path / "a"]) == ""


def test_a_dtype_is_below_the_stored_one_where_it_has_fewer_digits():
    assert is_below("bfloat16", "float32") and is_below("bfloat16", "float16") and is_below("float32", "float64")
    assert not is_below("float32", "bfloat16") and not is_below("float16", "bfloat16")
    assert not is_below("bfloat16", "bfloat16") and not is_below("bfloat16", "")


def test_both_gaps_are_said_or_why_one_is_missing():
    measured = StoredGap("bfloat16", "float32", "float32", 0.68, 1.49)
    assert measured.text == "bfloat16 is below the stored float32: gap +0.68 here, +1.49 in float32"
    (check,) = measured.checks
    assert check.name == "gap in float32 − gap in bfloat16" and check.residual == pytest.approx(0.81)
    unknown = StoredGap("bfloat16", "float16", "float32", -0.68, reason="it needs 32 GB")
    assert "gap −0.68 here" in unknown.text and "cannot be checked" in unknown.text and "32 GB" in unknown.text
    assert unknown.checks == () and "below the stored float16" in unknown.text and "in float32" in unknown.text


def test_stored_halves_are_held_by_float32():
    assert [reference_dtype(d) for d in ("float16", "bfloat16", "float32", "float64")] == ["float32"] * 3 + ["float64"]
