"""The file that a set's numbers are kept in."""

from __future__ import annotations

import numpy as np
import pytest

from core.experiment import InputError
from core.sets.kept import OnDisk


def test_two_runs_do_not_write_to_one_file(tmp_path):
    with OnDisk(tmp_path / "a.sqlite"), pytest.raises(InputError, match="another run writes to"):
        OnDisk(tmp_path / "a.sqlite")
    with OnDisk(tmp_path / "a.sqlite") as kept:
        assert "x" not in kept


def test_a_file_that_is_none_of_ours_is_named_and_left_alone(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(InputError, match="cannot be read .* delete it to begin anew"):
        OnDisk(path)
    assert path.read_bytes() == b"something else" * 100


def test_a_kept_number_comes_back_in_its_shape_and_order(tmp_path):
    values = {"scalar": np.float32(3.5), "map": np.arange(6.0).reshape(2, 3)}
    with OnDisk(tmp_path / "a.sqlite") as kept:
        kept.keep("a", values)
        kept.keep("b", {name: array + 1 for name, array in values.items()})
    with OnDisk(tmp_path / "a.sqlite") as kept:
        assert np.array_equal(kept.column("map", ["b", "a"]), np.stack([values["map"] + 1, values["map"]]))
        assert kept.column("scalar", ["a"]).tolist() == [3.5]
