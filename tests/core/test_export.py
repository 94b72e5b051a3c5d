"""Files are written all or none, whatever fails on the way; a spreadsheet finds no formula in a table."""

import io
import os
from pathlib import Path

import pandas as pd
import pytest

from core.export.tables import to_csv, write_whole


def failing_at(number: int, monkeypatch) -> None:
    """Let the `number`-th replacement of a file fail, and no other."""
    replace, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == number:
            raise PermissionError(f"{target} is held by another program")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_where_one_file_cannot_be_replaced_every_file_is_what_it_was(tmp_path, monkeypatch, number):
    (tmp_path / "a").write_text("old a")
    (tmp_path / "c").write_text("old c")
    failing_at(number, monkeypatch)
    with pytest.raises(PermissionError):
        write_whole({tmp_path / name: f"new {name}" for name in "abc"})
    assert contents(tmp_path) == {"a": "old a", "c": "old c"}


def test_where_a_device_takes_nothing_no_file_is_new(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match="No space"):
        write_whole({tmp_path / "a": "new", tmp_path / "b": "new", Path("/dev/full"): "x"})
    assert contents(tmp_path) == {"a": "old"}


def test_text_and_bytes_are_written_and_nothing_else_is_left(tmp_path):
    (tmp_path / "a").write_text("old")
    write_whole({tmp_path / "a": "für", tmp_path / "b": b"\x00\xff"})
    assert (tmp_path / "a").read_text(encoding="utf-8") == "für" and (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_a_text_that_a_spreadsheet_would_run_is_escaped_and_numbers_and_other_texts_are_not():
    texts = ["=1+1", "+a", "-a", "@a", "\tx", "\rx", " =a", "a-b", "a\r=b", "", None]
    frame = pd.DataFrame({"text": texts, "value": [-1.5] * len(texts), "layer": pd.array([-1] * len(texts), "Int64")})
    mixed = frame.assign(mixed=[-2.5, "-x", *[None] * (len(texts) - 2)])
    read = pd.read_csv(io.StringIO(to_csv(mixed)), keep_default_na=False, dtype=str)
    assert list(read["text"]) == ["'=1+1", "'+a", "'-a", "'@a", "'\tx", "'\nx", " =a", "a-b", "a\n=b", "", ""]
    assert set(read["value"]) == {"-1.5"} and set(read["layer"]) == {"-1"}
    assert list(read["mixed"][:2]) == ["-2.5", "'-x"]
