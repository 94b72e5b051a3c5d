"""`python -m core card`: one JSON file, or one line on stderr and nothing written."""

import json

import pytest

from core.__main__ import main

GIVEN = ["card", "--pair", "tiny", "--sentence", "The quick fox jumps over the dog.", "--original", "quick"]


def test_a_card_is_written_with_its_manifest_and_its_sentence_printed(tmp_path, capsys):
    target = tmp_path / "card.json"
    assert main([*GIVEN, "--heads", "L1H3 L1H2,L0H1", "--json", str(target)]) == 0
    found = json.loads(target.read_text())
    assert found["card"]["members"] == ["L0H1", "L1H2", "L1H3"] and found["card"]["site"] == "z"
    assert capsys.readouterr().out == f"{found['card']['finding']} Wrote {target}\n"
    assert found["experiment"]["pair"] == "tiny"
    assert found["manifest"]["answer"]["token"] and set(found["manifest"]["seconds"]) == {"load", "record", "card"}
    numbers = {row["number"]: row["score"] for row in found["numbers"]}
    assert numbers["all"] == pytest.approx(1, abs=1e-4)
    assert {"curves", "runs", "definitions", "draws"} <= set(found)


def test_groups_and_positions_are_taken(tmp_path):
    target = tmp_path / "card.json"
    assert main([*GIVEN, "--heads", "L2KV1", "--site", "v", "--positions", "end", "--json", str(target)]) == 0
    found = json.loads(target.read_text())["card"]
    assert (found["members"], found["positions"], found["weights"]) == (["L2KV1"], "end", None)


@pytest.mark.parametrize(
    "more, said",
    [
        (["--heads", "L9H1"], "there is no L9H1; layers go from 0 to 3, heads from 0 to 7"),
        (["--heads", "quick"], "'quick' names no head"),
        (["--heads", ""], "name heads, for example L0H0"),
        (["--heads", "L1H1", "--site", "mlp_out"], "mlp_out is neither"),
        (["--heads", "L1H1", "--site", "y"], "the site 'y' is unknown"),
        (["--heads", "L1H1", "--site", "w_q", "--positions", "end"], "w_q is a weight"),
        (["--heads", "L1H1", "--positions", "99"], "the position '99' is not in the prompt"),
        (["--heads", "L1H1", "--positions", "last"], "the position 'last' is unknown"),
        ([], "--heads"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, more, said):
    target = tmp_path / "card.json"
    assert main([*GIVEN, *more, "--json", str(target)]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not target.exists()
