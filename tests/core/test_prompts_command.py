"""`python -m core prompts` as a user calls it: what it writes, how it goes on, and how it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from core.__main__ import main
from core.sets import running
from core.sets.command import TABLES
from core.sets.reading import shipped_file

HEADER = "instruction,sentence,original,answers,structure,id"
INSTRUCTION = "Rephrase all the adjectives of the following sentence"
ROWS = (
    f"{INSTRUCTION},The happy girl sees the old dog.,happy,gladdest;glad,adjective first,a",
    f"{INSTRUCTION},The happy girl sees the old dog.,old,ancient,late,b",
    f"{INSTRUCTION},The quick fox jumps over the dog.,quick,swift;fast,adjective first,c",
    f"{INSTRUCTION},The quick fox jumps over the dog.,slow,swift,adjective first,d",
)


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "set.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main(["prompts", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def tables(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.csv")}


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    arguments = ["--set", written(folder, *ROWS), "--pair", "tiny", "--sweeps", "z,v", "--out", folder / "out"]
    assert main(["prompts", *map(str, arguments), "--report", str(folder / "out" / "report.html")]) == 0
    return folder / "out"


def test_the_folder_holds_every_table_and_the_manifest(out):
    names = {path.name for path in out.iterdir() if not path.name.startswith("finished-")}
    assert names == {*(f"{name}.csv" for name in TABLES), "manifest.json", "report.html"}
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["set"]["rows"] == 4 and manifest["set"]["used"] == 3 and manifest["sites"] == ["z", "v"]
    assert {"base", "instruct", "libraries", "direction", "statistics", "seconds"} <= set(manifest)


def test_the_report_has_a_figure_of_every_average_with_the_manifest(out):
    html = (out / "report.html").read_text(encoding="utf-8")
    titles = re.findall("<h2>(.*?)</h2>", html)
    for title in ("What the models prefer", "by layer", "of every head", "attention", "Patches of z", "Patches of v"):
        assert any(title in each for each in titles), title
    assert "3 of 3 prompts have run; 1 rows are left out" in html and "bootstrap_draws" in html


def test_the_tables_hold_the_columns_that_others_rely_on(out):
    statistics = {"n", "mean", "se", "ci_low", "ci_high"}
    frames = {name: pd.read_csv(out / f"{name}.csv") for name in TABLES}
    assert statistics | {"model"} <= set(frames["summary"])
    assert statistics | {"model", "component", "layer", "head"} <= set(frames["attribution"])
    assert statistics | {"model", "role", "layer", "head"} <= set(frames["attention"])
    assert statistics | {"direction", "site", "layer", "head", "ratio", "p", "q"} <= set(frames["patching"])
    columns = ["id", "used", "reason", "base_logit_diff", "instruct_logit_diff"]
    assert list(frames["prompts"].columns)[:5] == columns
    assert list(frames["prompts"]["id"]) == list("abcd") and list(frames["prompts"]["used"]) == [True] * 3 + [False]
    assert (frames["summary"].query("structure.isna() and instruction.isna()")["n"] == 3).all()


def test_an_average_is_that_of_the_prompts_table(out):
    prompts, summary = pd.read_csv(out / "prompts.csv"), pd.read_csv(out / "summary.csv")
    whole = summary[summary["structure"].isna() & summary["instruction"].isna()].set_index(["model", "measure"])["mean"]
    for model in ("base", "instruct"):
        assert abs(whole[model, "logit_diff"] - prompts[f"{model}_logit_diff"].mean()) < 1e-5


def test_the_same_command_again_runs_nothing_and_writes_the_same_tables(out, capsys, monkeypatch):
    before = tables(out)
    monkeypatch.setattr(running, "numbers", lambda *args: pytest.fail("a prompt is run again"))
    again = ["--set", out.parent / "set.csv", "--pair", "tiny", "--sweeps", "z,v", "--out", out]
    status, said, err = run(capsys, *again)
    assert status == 0 and tables(out) == before and "3 of 3 prompts" in err
    assert said.startswith("mean logit difference over 3 prompts, 1 rows left out: BASE −")


def test_another_set_up_runs_anew_and_leaves_no_table_of_the_earlier_one(out, tmp_path, capsys):
    arguments = ["--set", out.parent / "set.csv", "--pair", "tiny", "--out", tmp_path]
    assert run(capsys, *arguments, "--sweeps", "v", "--positions", "end", "--direction", "base_to_instruct")[0] == 0
    frame = pd.read_csv(tmp_path / "patching.csv")
    assert set(frame["direction"]) == {"base_to_instruct"} and set(frame["site"]) == {"v"}
    assert run(capsys, *arguments)[0] == 0
    assert not (tmp_path / "patching.csv").exists() and len(list(tmp_path.glob("finished-*"))) == 2


def test_a_row_that_is_added_runs_alone(out, tmp_path, capsys, monkeypatch):
    path, more = written(tmp_path, *ROWS[:2]), ROWS[2]
    arguments = ["--set", path, "--pair", "tiny", "--out", tmp_path / "out"]
    assert run(capsys, *arguments)[0] == 0
    ran, numbers = [], running.numbers
    monkeypatch.setattr(running, "numbers", lambda *args: ran.append(args[1].original) or numbers(*args))
    written(tmp_path, more, *ROWS[:2])
    assert run(capsys, *arguments)[0] == 0
    assert ran == [" quick"] and list(pd.read_csv(tmp_path / "out" / "prompts.csv")["id"]) == ["c", "a", "b"]


def test_a_process_killed_in_the_middle_goes_on_to_identical_tables(tmp_path, capsys):
    lines = shipped_file("tiny").read_text(encoding="utf-8").splitlines()
    path = written(tmp_path, *lines[1:161:4], header=lines[0])
    there, whole = tmp_path / "killed", tmp_path / "whole"
    arguments = ["--set", str(path), "--pair", "tiny", "--sweeps", "z", "--out"]
    command = [sys.executable, "-m", "core", "prompts", *arguments, str(there)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        # Some prompts are on disk when the file has grown; the test holds too where all of them are.
        while process.poll() is None and sum(each.stat().st_size for each in there.glob("finished-*")) < 100_000:
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
    assert run(capsys, *arguments, there)[0] == 0
    assert run(capsys, *arguments, whole)[0] == 0
    assert tables(there) == tables(whole) and len(tables(whole)) == len(TABLES)


REFUSED = {
    "no such file": (["--set", "nowhere.csv"], "nowhere.csv"),
    "no folder to write to": (["--out", "nowhere/out"], "there is no folder 'nowhere' to write to"),
    "a file in the folder's place": (["--out", "set.csv"], "'set.csv' is a file; --out takes a folder"),
    "an unknown site": (["--sweeps", "x"], "the site 'x' is unknown"),
    "a position": (["--positions", "3"], "argument --positions: invalid choice: '3'"),
    "an unknown pair": (["--pair", "other"], "'other'"),
    "a report in a table's place": (["--report", "out/summary.csv"], "--report and --out both name"),
    "a report in no folder": (["--report", "nowhere/a.html"], "there is no folder 'nowhere' to write to"),
    "weights at END": (["--sweeps", "w_q", "--positions", "end"], "leave --positions out"),
}
FILES = {
    "empty": ("", "the file is empty"),
    "wrong columns": ("sentence,word\na,b\n", "the column 'instruction' is missing"),
    "no usable row": (f"{HEADER}\n{ROWS[3]}\n", "no row of the set can be used"),
    "a million rows": ("\n".join([HEADER, *["x"] * 1_000_000]), "1,000,000 rows"),
}


@pytest.mark.parametrize("case", [*REFUSED, *FILES])
def test_bad_input_gets_status_2_one_line_and_nothing_is_written(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, *ROWS)
    arguments, message = REFUSED.get(case) or ([], FILES[case][1])
    if case in FILES:
        (tmp_path / "set.csv").write_text(FILES[case][0])
    status, said, err = run(capsys, "--set", "set.csv", "--pair", "tiny", "--out", "out", *arguments)
    assert (status, said, len(err.splitlines())) == (2, "", 1) and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["set.csv"]


def test_a_formula_in_a_cell_is_refused_and_escaped_where_it_is_named(tmp_path, capsys):
    path = written(tmp_path, *ROWS[:2], f"{INSTRUCTION},=A1 quick,quick,swift,,=b")
    assert run(capsys, "--set", path, "--pair", "tiny", "--out", tmp_path / "out")[0] == 0
    frame = pd.read_csv(tmp_path / "out" / "prompts.csv")
    assert frame["id"][2] == "'=b" and "begins with “=”" in frame["reason"][2]


def test_interrupted_it_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "numbers", interrupted)
    status, _, err = run(capsys, "--set", written(tmp_path, *ROWS), "--pair", "tiny", "--out", tmp_path / "out")
    assert status == 130 and "goes on from here with the same command" in err


def test_an_interrupted_analysis_does_not_say_that_it_goes_on(capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("core.__main__._analyze", interrupted)
    assert main(["analyze", "--sentence", "The quick fox.", "--original", "quick", "--json", "a.json"]) == 130
    assert capsys.readouterr().err.strip() == "stopped; nothing was written"
