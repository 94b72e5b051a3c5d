from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from cache.kept import Kept, nbytes


@dataclass(frozen=True)
class Result:
    heads: np.ndarray
    labels: tuple[str, ...]


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(10**6, "uint8"),
        Result(np.zeros((500, 500), "float32"), ("embed",)),
        {"a": [np.zeros(500_000, "uint8")], "b": (np.zeros(500_000, "uint8"),)},
        pd.DataFrame({"value": np.zeros(125_000)}),
        "x" * 10**6,
        np.array(["x" * 500_000, "y" * 500_000], dtype=object),
        np.frombuffer(bytes(10**6), "uint8"),
    ],
    ids=["array", "dataclass", "containers", "frame", "string", "objects", "foreign buffer"],
)
def test_a_megabyte_counts_as_a_megabyte_however_it_is_held(value):
    assert 10**6 <= nbytes(value) <= 1.01 * 10**6


def test_a_view_counts_with_the_array_that_it_keeps_alive():
    assert nbytes(Result(np.zeros((1000, 1000), "uint8")[-1], ())) >= 10**6


def test_a_view_of_a_tensor_counts_with_the_storage_that_it_keeps_alive():
    class Storage:
        nbytes = staticmethod(lambda: 10**6)

    class Tensor:
        """As much of torch's as an array's base shows, without importing torch."""

        row = np.zeros(250, "float32")
        __array_interface__ = row.__array_interface__
        untyped_storage = Storage

    view = np.asarray(Tensor())
    assert isinstance(view.base, Tensor) and nbytes(view) >= 10**6


def test_what_two_fields_share_counts_once():
    shared = np.zeros(10**6, "uint8")
    assert nbytes((shared, shared, {"again": shared})) < 1.01 * 10**6


def test_a_cycle_ends():
    loop = []
    loop.append(loop)
    assert 0 < nbytes(loop) < 1000


def test_the_least_recently_used_goes_first():
    kept = Kept(100)
    for key in "abc":
        kept.put(key, key.upper(), 30)
    assert kept.get("a") == "A"
    kept.put("d", "D", 30)
    assert [kept.get(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_the_bound_holds_after_every_step():
    kept = Kept(100)
    for number in range(200):
        kept.put(number % 3, number, (number * 37) % 60)
        assert kept.bytes <= 100 and kept.bytes == sum(size for _, size in kept._entries.values())


def test_one_oversized_value_pushes_out_nothing():
    kept = Kept(100)
    kept.put("small", 1, 10)
    kept.put("large", 2, 51)
    assert kept.get("small") == 1 and kept.get("large") is None and kept.bytes == 10
