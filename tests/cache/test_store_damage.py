"""Whatever becomes of the file, the folder or the disk: no wrong answer, nothing fatal, one line to tell."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cache import answer_file
from cache.store import Store, Stored

BOUND = 10**8
VALUES = {f"{n:064x}": random.Random(n).randbytes(200 + 700 * (n % 9)) for n in range(60)}


def opened(path: Path) -> Store:
    return Store(path, BOUND)


@pytest.fixture
def path(tmp_path) -> Path:
    """A store's file with all VALUES in it, closed."""
    store = opened(tmp_path / "answers.sqlite")
    for key, value in VALUES.items():
        store.put(key, value)
    store.remember("weights", "abc")
    store.close()
    return store.path


def found(store: Store) -> set[str]:
    """The keys that are answered; never with anything but what was put."""
    answers = {key: store.get(key) for key in VALUES}
    assert all(answer in (None, Stored(VALUES[key], True)) for key, answer in answers.items())
    return {key for key, answer in answers.items() if answer}


def works(store: Store) -> bool:
    store.put("new", b"new value")
    return store.get("new") == Stored(b"new value", True)


def aside(path: Path) -> list[Path]:
    return [each for each in path.parent.glob("*.damaged-*") if not each.name.endswith(("-wal", "-shm"))]


def test_a_flipped_byte_in_an_answer_loses_that_answer_alone(path, caplog):
    data, key = path.read_bytes(), list(VALUES)[7]
    at = data.index(VALUES[key][:50])
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    store = opened(path)
    assert found(store) == set(VALUES) - {key} and not aside(path)
    assert "damaged" in store.stats().trouble and "\n" not in store.stats().trouble
    assert [record.getMessage() for record in caplog.records] == [store.stats().trouble]
    store.put(key, VALUES[key])
    assert found(store) == set(VALUES)


@pytest.mark.parametrize("where", ["anywhere", "in the header"])
def test_a_flipped_byte_gives_no_wrong_answer_and_a_store_that_works(path, tmp_path, where):
    data, draw, lost = path.read_bytes(), random.Random(0), []
    for n in range(50):
        at = draw.randrange(len(data) if where == "anywhere" else 100)
        copy = tmp_path / str(n) / "answers.sqlite"
        copy.parent.mkdir()
        copy.write_bytes(data[:at] + bytes([data[at] ^ draw.randrange(1, 256)]) + data[at + 1 :])
        store = opened(copy)
        lost.append(len(VALUES) - len(found(store)))
        assert store.fact("weights") in ("abc", None) and works(store), at
        assert found(store) == found(opened(copy))
        store.close()
    # Nearly every byte belongs to one answer, or to what is the same in every file.
    assert sum(count <= 1 for count in lost) >= 45, lost


@pytest.mark.parametrize("length", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_half_written_file_still_gives_what_it_holds(path, length):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(length * len(whole))])
    store = opened(path)
    held = found(store)
    assert works(store) and store.stats().trouble
    assert len(held) >= (len(VALUES) - 1 if length == 0.999 else 0) and held == found(store)


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE answers (key TEXT, text TEXT)")
        db.execute("INSERT INTO answers VALUES ('mine', 'dear')")
    db.close()


FOREIGN = {
    "text": lambda path: path.write_text("not a database\n" * 500),
    "zeros": lambda path: path.write_bytes(bytes(20_000)),
    "a short file": lambda path: path.write_bytes(b"note"),
    "another program's database": other_database,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_set_aside_as_it_was(tmp_path, kind):
    path = tmp_path / "answers.sqlite"
    FOREIGN[kind](path)
    before = path.read_bytes()
    store = opened(path)
    assert found(store) == set() and works(store)
    assert [each.read_bytes() for each in aside(path)] == [before]
    assert aside(path)[0].name in store.stats().trouble and "\n" not in store.stats().trouble


def test_an_empty_file_and_one_that_was_never_finished_are_simply_begun(tmp_path):
    (tmp_path / "empty.sqlite").touch()
    begun = sqlite3.connect(tmp_path / "begun.sqlite", isolation_level=None)
    begun.execute("PRAGMA cache_size = 1")
    begun.execute("PRAGMA cache_spill = 1")
    begun.execute("BEGIN")
    begun.execute("CREATE TABLE answers (key TEXT)")
    begun.executemany("INSERT INTO answers VALUES (?)", [("x" * 2000,) for _ in range(50)])
    for each in tmp_path.glob("begun.sqlite*"):  # as they lie there when the process is killed
        shutil.copy(each, tmp_path / each.name.replace("begun", "killed"))
    begun.close()
    assert (tmp_path / "killed.sqlite").stat().st_size and (tmp_path / "killed.sqlite-journal").is_file()
    for name in ("empty", "killed"):
        store = opened(tmp_path / f"{name}.sqlite")
        assert works(store) and store.stats().trouble == ""
    assert not aside(tmp_path / "any")


def test_a_file_foreign_to_a_reader_is_left_where_it_is(tmp_path):
    path = tmp_path / "talk.sqlite"
    for spoil in (FOREIGN["text"], lambda path: path.unlink()):
        spoil(path)
        store = Store(path, 0, read_only=True)
        assert store.get("a") is None and store.fact("a") is None and store.keys() == ()
        assert str(path) in store.stats().trouble and not aside(path)


def test_one_damaged_file_is_kept_to_look_into(path):
    for n in range(3):
        path.write_text(f"damaged {n}")
        assert works(store := opened(path))
        store.close()
    assert [each.read_text() for each in aside(path)] == ["damaged 2"]


def test_whoever_has_a_file_open_that_another_sets_aside_goes_on_in_the_new_one(path):
    first, second = opened(path), opened(path)
    assert found(first) == set(VALUES)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DROP INDEX answers_by_use")
        db.execute("DROP TABLE answers")
    db.close()
    assert works(second) and len(aside(path)) == 1
    second.put("a", b"x")
    assert first.get("a") == Stored(b"x", True)
    first.put("b", b"y")
    assert second.get("b") == Stored(b"y", True) and first.fact("weights") == second.fact("weights") == "abc"


def test_a_full_disk_is_told_and_what_was_kept_stays(path):
    store = opened(path)
    with store._file.connection() as db:
        before = db.execute("PRAGMA max_page_count").fetchone()[0]
        db.execute("PRAGMA max_page_count = 1")
    store.put_all([("small", Stored(b"x", True)), ("large", Stored(bytes(10**6), True))])
    assert store.get("small") is None and store.get("large") is None and found(store) == set(VALUES)
    assert "full" in store.stats().trouble and "\n" not in store.stats().trouble
    with store._file.connection() as db:
        db.execute(f"PRAGMA max_page_count = {before}")
    assert works(store) and store.stats().trouble == "" and not aside(path)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Nobody may write there, not even root, who lays his rights down for as long."""
    everything = [folder, *folder.iterdir()]
    for each in everything:
        each.chmod(0o555 if each.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for each in everything:
            each.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_disk_is_read(path, open_folder):
    copy = Path(shutil.copy(path, open_folder))
    with unwritable(open_folder):
        store = opened(copy)
        assert found(store) == set(VALUES) and store.stats().trouble == ""
        store.put("a", b"x")
        assert store.get("a") is None and found(store) == set(VALUES)
        assert "readonly" in store.stats().trouble and "\n" not in store.stats().trouble
        store.close()
    assert works(store) and store.stats().trouble == ""


def test_an_empty_read_only_disk_keeps_nothing(open_folder):
    with unwritable(open_folder):
        for path in (open_folder / "answers.sqlite", open_folder / "folder/answers.sqlite"):
            store = opened(path)
            assert found(store) == set() and not works(store) and str(path) in store.stats().trouble


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder/answers.sqlite").mkdir(parents=True)
    for path in (tmp_path / "file/answers.sqlite", tmp_path / "folder/answers.sqlite"):
        store = opened(path)
        assert found(store) == set() and not works(store) and store.stats().entries == 0
        assert str(path) in store.stats().trouble


def test_a_folder_deleted_meanwhile_is_made_again(path):
    store = opened(path)
    assert found(store) == set(VALUES)
    shutil.rmtree(path.parent)
    assert found(store) == set() and works(store)
    shutil.rmtree(path.parent)
    assert works(store) and found(opened(path)) == set()


def test_a_file_that_another_process_holds_is_told_and_not_waited_for_long(path, monkeypatch):
    monkeypatch.setattr(answer_file, "BUSY", 0.01)
    store = opened(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not works(store) and found(store) == set(VALUES) and "locked" in store.stats().trouble
    other.execute("ROLLBACK")
    other.close()
    assert works(store) and store.stats().trouble == "" and not aside(path)


def test_the_same_trouble_is_logged_once(tmp_path, caplog):
    (tmp_path / "file").touch()
    store = opened(tmp_path / "file/answers.sqlite")
    for n in range(5):
        store.put(str(n), b"x")
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


FORKED = """
import os, sys
from pathlib import Path
from cache.store import Store
store = Store(Path(sys.argv[1]), 10**8)
store.put("parent", b"p")
if child := os.fork():
    os.waitpid(child, 0)
    store.put("parent after", b"p")
else:
    store.put("child", b"c")
    assert store.get("parent").value == b"p"
    os._exit(0)
print(*(store.get(key).value.decode() for key in ("parent", "child", "parent after")), store.stats().trouble)
"""


def test_a_process_that_is_forked_has_connections_of_its_own(path):
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", FORKED, str(path)], cwd=root, capture_output=True, text=True)
    assert done.stdout.split() == ["p", "c", "p"], done.stderr
