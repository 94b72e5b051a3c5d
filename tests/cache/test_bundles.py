"""A bundle carries answers to another machine, whole and checked; bad input gets one line and leaves nothing behind."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from cache.__main__ import main
from cache.labels import Label
from cache.presets import presets
from cache.questions.catalogue import QUESTIONS
from cache.store import Store, Stored
from core.experiment import Experiment

BOUND = 10**8
ANSWERS = {random.Random(n).randbytes(32).hex(): random.Random(n).randbytes(300 * n) for n in range(20)}


class Machine:
    """A cache folder of its own; `run` is the command line on it."""

    def __init__(self, folder: Path, monkeypatch, capsys):
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        self.path = folder / "answers.sqlite"

    def store(self) -> Store:
        return Store(self.path, BOUND)

    def run(self, *arguments: object, megabytes: str = "100") -> tuple[int, str, str]:
        self._monkeypatch.setenv("REPHRASE_CACHE", str(self.folder))
        self._monkeypatch.setenv("REPHRASE_STORE_MB", megabytes)
        status = main([str(argument) for argument in arguments])
        told = self._capsys.readouterr()
        return status, told.out, told.err

    def refuses(self, *arguments: object, **settings: str) -> str:
        status, out, err = self.run(*arguments, **settings)
        assert (status, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1
        return err


@pytest.fixture
def machine_of(tmp_path, monkeypatch, capsys):
    return lambda name: Machine(tmp_path / name, monkeypatch, capsys)


@pytest.fixture
def box(machine_of):
    """A machine with all ANSWERS, every second one unfinished."""
    box = machine_of("box")
    store = box.store()
    for n, (key, value) in enumerate(ANSWERS.items()):
        store.put(key, value, complete=n % 2 == 0, label=f"question {n % 2}")
    store.remember("identity of tiny", "abc")
    yield box  # its store stays open, as that of an app that runs
    store.close()


def test_a_bundle_brings_every_answer_to_another_machine(box, machine_of, tmp_path):
    file, laptop = tmp_path / "talk.sqlite", machine_of("laptop")
    assert box.run("export", file, "--all")[:2] == (0, f"20 answers, {file.stat().st_size / 1e6:.1f} MB: {file}\n")
    assert laptop.run("import", file) == (0, "20 answers taken over\n", "")
    here, there = box.store(), laptop.store()
    assert all(here.get(key) == there.get(key) != None for key in ANSWERS)  # noqa: E711
    assert there.facts() == {"identity of tiny": "abc"} and there.labels() == here.labels()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["box", "laptop", "talk.sqlite"]


def test_a_bundle_is_one_file_that_is_read_where_it_lies(box, tmp_path):
    file = tmp_path / "talk.sqlite"
    box.run("export", file, "--all")
    before = file.read_bytes()
    bundle = Store(file, 0, read_only=True)
    assert {key: bundle.get(key).value for key in ANSWERS} == ANSWERS and bundle.stats().trouble == ""
    bundle.close()
    assert file.read_bytes() == before and sorted(each.name for each in tmp_path.iterdir()) == ["box", "talk.sqlite"]
    assert len(before) < sum(map(len, ANSWERS.values())) * 1.5 + 60_000


def test_what_the_store_knows_better_stays(box, machine_of, tmp_path):
    laptop, key = machine_of("laptop"), list(ANSWERS)[1]
    laptop.store().put(key, b"finished here")
    laptop.store().remember("identity of tiny", "my own")
    box.run("export", tmp_path / "talk.sqlite", "--all")
    laptop.run("import", tmp_path / "talk.sqlite")
    assert laptop.store().get(key) == Stored(b"finished here", True)
    assert laptop.store().fact("identity of tiny") == "my own"


def test_rows_that_fail_their_check_are_refused_and_counted(box, machine_of, tmp_path):
    file, laptop = tmp_path / "talk.sqlite", machine_of("laptop")
    box.run("export", file, "--all")
    with sqlite3.connect(file) as db:
        db.execute("UPDATE answers SET value = x'00' WHERE key = ?", (list(ANSWERS)[3],))
        db.execute("UPDATE answers SET format = format + 1 WHERE key = ?", (list(ANSWERS)[4],))
        db.execute("UPDATE answers SET key = 'not a hash' WHERE key = ?", (list(ANSWERS)[5],))
    db.close()
    assert laptop.run("import", file) == (0, "17 answers taken over, 3 refused: damaged or of another version\n", "")
    assert set(laptop.store().keys()) == set(ANSWERS) - set(list(ANSWERS)[3:6])


DEFAULT, REPEAT = presets("tiny")[0], next(each for each in presets("tiny") if each.title == "Repeat")
MINE = Experiment(pair="", base="/m/a", instruct="/m/b", prompt="2 + 2 =", original=" 5", answer=" 4")
LABELLED = [Label(question, DEFAULT.experiment) for question in ("overview", "sweep", "sweep")]
LABELLED += [Label("overview", replace(DEFAULT.experiment, pair="llama-3.1-8b", dtype="bfloat16"))]
LABELLED += [Label("overview", REPEAT.experiment), Label("overview", MINE)]
LABELLED += [Label("head_scores", QUESTIONS["head_scores"].matters(MINE))]


@pytest.fixture
def used(machine_of):
    """A machine on which some experiments were looked at."""
    used = machine_of("used")
    for n, label in enumerate(LABELLED):
        used.store().put(f"{n:064x}", b"x", label=str(label))
    return used


def test_a_preset_brings_the_answers_to_its_prompt_on_whatever_models(used, tmp_path):
    file = tmp_path / "talk.sqlite"
    assert used.run("export", file, "--preset", DEFAULT.title.upper())[0] == 0
    assert Store(file, 0, read_only=True).keys() == tuple(f"{n:064x}" for n in (0, 1, 2, 3, 6))
    assert used.run("export", file, "--preset", DEFAULT.title, "--preset", "repeat")[0] == 0
    assert Store(file, 0, read_only=True).keys() == tuple(f"{n:064x}" for n in (0, 1, 2, 3, 4, 6))
    assert "Repeat" in used.refuses("export", file, "--preset", "no such name")
    assert "no such answers" in used.refuses("export", file, "--preset", "remove")
    assert len(Store(file, 0, read_only=True).keys()) == 6


def test_what_there_is_can_be_listed(used, box):
    status, out, _ = used.run("export", "--list")
    lines = [line.strip() for line in out.splitlines()]
    assert status == 0 and f"4 --preset {DEFAULT.title!r}" in lines and "0 --preset 'Remove'" in lines
    assert [line for line in lines if "2 + 2" in line] == ["1 /m/a → /m/b · 2 + 2 ="]
    assert [line[:8] for line in lines if "The quick fox" in line and "Rephrase all" in line] == [
        "1 llama-",
        "3 tiny ·",
    ]
    assert "1 /m/a → /m/b · any prompt" in lines
    assert box.run("export", "--list")[1].endswith("    20 without a label\n")


def test_a_bundle_larger_than_the_store_is_taken_over_in_part_and_says_so(machine_of, tmp_path):
    box, laptop, file = machine_of("box"), machine_of("laptop"), tmp_path / "talk.sqlite"
    for n in range(30):
        box.store().put(f"{n:064x}", random.Random(n).randbytes(100_000))
    box.run("export", file, "--all")
    status, out, _ = laptop.run("import", file, megabytes="1")
    assert status == 0 and "left out: REPHRASE_STORE_MB holds no more" in out
    assert out.startswith(f"{len(laptop.store().keys())} answers taken over")


def test_bad_input_gets_one_line_and_writes_nothing(box, machine_of, tmp_path):
    laptop, text = machine_of("laptop"), tmp_path / "notes.txt"
    text.write_text("my notes")
    assert "no bundle" in laptop.refuses("import", text)
    assert "no file" in laptop.refuses("import", tmp_path / "missing.sqlite")
    assert "no answers" in laptop.refuses("export", tmp_path / "talk.sqlite", "--all")
    assert "no folder" in box.refuses("export", tmp_path / "missing/talk.sqlite", "--all")
    assert "another file" in box.refuses("export", box.path, "--all")
    assert "another file" in box.refuses("import", box.path)
    assert "FILE" in box.refuses("export", "--all")
    assert "--all" in box.refuses("export", tmp_path / "talk.sqlite")
    assert "REPHRASE_STORE_MB" in box.refuses("export", tmp_path / "talk.sqlite", "--all", megabytes="0")
    assert "REPHRASE_STORE_MB" in box.refuses("export", tmp_path / "talk.sqlite", "--all", megabytes="much")
    box.refuses("import")
    box.refuses("publish", text)
    (tmp_path / "folder").mkdir()
    box.refuses("export", tmp_path / "folder", "--all")
    box.refuses("import", tmp_path / "folder")
    assert text.read_text() == "my notes" and not list((tmp_path / "folder").iterdir())
    assert {each.name for each in tmp_path.iterdir()} <= {"box", "laptop", "folder", "notes.txt"}
    assert laptop.store().keys() == () and len(box.store().keys()) == len(ANSWERS)


def test_a_file_that_is_no_bundle_is_told_once(machine_of, tmp_path, caplog):
    garbage, foreign = tmp_path / "garbage", tmp_path / "foreign.sqlite"
    garbage.write_bytes(b"garbage" * 200)
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE notes (text)")
    db.close()
    for file in (garbage, foreign):
        assert "is no bundle of answers: " in machine_of("laptop").refuses("import", file)
        # A line of the log would be a second one on stderr.
        assert not caplog.records
        assert Store(file, 0, read_only=True).stats().trouble.startswith(f"no answers can be read from {file}: ")
        caplog.clear()


def test_an_export_that_fails_leaves_the_earlier_bundle(box, tmp_path, monkeypatch):
    file = tmp_path / "talk.sqlite"
    box.run("export", file, "--all")
    before = file.read_bytes()
    monkeypatch.setattr("cache.bundles._finish", lambda path: (_ for _ in ()).throw(OSError("the disk is full")))
    assert "full" in box.refuses("export", file, "--all")
    assert file.read_bytes() == before and sorted(each.name for each in tmp_path.iterdir()) == ["box", "talk.sqlite"]
