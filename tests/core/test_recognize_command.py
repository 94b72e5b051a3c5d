"""`python -m core recognize` as a user calls it: what it writes, how it goes on, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from core.__main__ import main
from core.recognize import heads, instructions
from core.recognize.results import KINDS
from tests.core.test_prompts_command import ROWS, written

MANY = (*ROWS, "Rephrase,The quick fox runs.,quick,swift,no counter,e")


def run(*arguments: object) -> int:
    return main(["recognize", *map(str, arguments)])


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recognize")
    file = written(folder, *MANY)
    assert run("--set", file, "--pair", "tiny", "--counter", "repeat", "--out", folder / "out") == 0
    return folder / "out"


def test_every_prompt_is_there_under_every_instruction_and_the_means_are_theirs(out):
    prompts, means = pd.read_csv(out / "prompts.csv"), pd.read_csv(out / "instructions.csv")
    assert list(prompts["id"]) == list("abcde") and list(prompts["used"]) == [True, True, True, False, True]
    assert "does not stand in the sentence" in prompts["reason"][3]
    whole = means.set_index(["instruction", "measure", "model"])
    for kind in KINDS:
        there = prompts[f"{kind}_base"].notna()
        row = whole.loc[(kind, "logit_diff", "instruct")]
        assert row["n"] == there.sum() and row["mean"] == pytest.approx(prompts[f"{kind}_instruct"].mean(), abs=1e-5)
    added = whole.loc[("repeat", "own_minus_this", "change"), "mean"]
    of = {model: (prompts[f"own_{model}"] - prompts[f"repeat_{model}"]).mean() for model in ("base", "instruct")}
    assert added == pytest.approx(of["instruct"] - of["base"], abs=1e-5)


def test_heads_have_both_models_patches_and_what_was_against_what_is_in_the_manifest(out):
    table = pd.read_csv(out / "heads.csv")
    assert set(table["model"]) == {"base", "instruct"} and set(table["n"]) == {3}
    assert {"layer", "head", "mean", "ci_low", "ci_high", "ratio", "replacement_mean"} <= set(table)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    (own,) = manifest["counters"]
    assert manifest["counters"][own] != own and "Rephrase" in manifest["without"]
    assert manifest["gap"]["base"]["n"] == 3 and manifest["left_out"][0]["prompts"] == 1
    assert {"base", "instruct", "libraries", "set", "wordings", "statistics", "seconds"} <= set(manifest)


def test_the_same_command_again_runs_nothing_and_without_heads_leaves_no_table_of_them(out, capsys, monkeypatch):
    for module, name in ((heads, "head_numbers"), (instructions, "of_candidates")):
        monkeypatch.setattr(module, name, lambda *args: pytest.fail("a prompt is run again"))
    before = {path.name: path.read_text() for path in out.glob("*.csv")}
    again = ("--set", out.parent / "set.csv", "--pair", "tiny", "--out", out)
    assert run(*again, "--counter", "repeat") == 0
    assert {path.name: path.read_text() for path in out.glob("*.csv")} == before
    assert "Within INSTRUCT the instruction is carried most by L" in capsys.readouterr().out
    assert run(*again) == 0 and not (out / "heads.csv").exists()


@pytest.mark.parametrize(
    "more, message",
    [
        (["--counter", "praise"], "--counter: invalid choice: 'praise'"),
        (["--set", "nowhere.csv"], "nowhere.csv"),
        (["--out", "nowhere/out"], "there is no folder 'nowhere' to write to"),
        (["--set", "none.csv"], "no row of the set can be used"),
    ],
)
def test_bad_input_gets_status_2_one_line_and_nothing_is_written(more, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, ROWS[3]).rename("none.csv")
    written(tmp_path, *ROWS)
    assert run("--set", "set.csv", "--pair", "tiny", "--out", "out", *more) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1 and message in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none.csv", "set.csv"]
