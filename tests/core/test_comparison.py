"""Two experiments in one address, told apart in words, and their tables in one."""

from __future__ import annotations

from dataclasses import fields, replace

import pandas as pd
import pytest

from core.comparison import NAMES, differing, in_words, joined, other_shape, read, spelled
from core.experiment import Experiment, from_query

A = Experiment(pair="tiny", answer="swift", picked=4)
OTHERS = {
    "pair": "smollm2-rephrase",
    "base": "/a",
    "instruct": "/b",
    "instruction": "Repeat the following sentence",
    "sentence": "The sad fox sleeps.",
    "original": "sad",
    "answer": "",
    "occurrence": 2,
    "prompt": "2 + 2 =",
    "colon": 1,
    "picked": None,
    "dtype": "float64",
    "template": "chat",
}


@pytest.mark.parametrize("name", OTHERS)
def test_an_address_spells_of_b_only_what_differs_and_reads_both_back(name):
    b = replace(A, **{name: OTHERS[name]})
    query = spelled(A, b)
    assert [key for key in query if key.startswith("b_")] == [f"b_{name}"]
    assert read(query) == (A, b, [])
    # Whoever does not compare reads A from it.
    assert from_query(query)[0] == A


def test_every_field_of_an_experiment_may_differ():
    assert OTHERS.keys() == {field.name for field in fields(Experiment)}
    b = replace(A, **OTHERS)
    assert differing(A, b) == list(Experiment.__dataclass_fields__)
    assert read(spelled(A, b)) == (A, b, [])


def test_an_experiment_is_compared_with_itself_before_it_is_edited():
    assert read(spelled(A, A)) == (A, A, [])
    assert read({"pair": "tiny", "sentence": "x"}) is None and read({"compare": "0"}) is None


def test_a_parameter_of_bs_alone_compares_and_one_that_cannot_be_read_is_told_by_its_name():
    a, b, told = read({"pair": "tiny", "b_sentence": "The sad fox.", "b_picked": "x", "colon": "y"})
    assert a == Experiment() and b == replace(a, sentence="The sad fox.")
    assert [line.partition("=")[0] for line in told] == ["colon", "b_picked"]
    assert {"compare", "b_sentence"} <= set(NAMES)


def test_what_differs_is_told_in_words_and_roles_are_no_difference():
    b = replace(A, sentence="The sad fox sleeps.", original="sad", answer="", picked=None)
    assert in_words(A, b) == "sentence “The quick fox jumps over the dog.” · word “quick” · answer “swift”"
    assert in_words(A, replace(A, picked=None)) == ""
    assert in_words(b, A) == "sentence “The sad fox sleeps.” · word “sad” · answer of its own"


def test_maps_of_other_sizes_have_no_difference_and_it_is_said_why():
    assert other_shape((4, 8), (4, 8)) == ""
    assert "4 layers of 8 heads" in other_shape((4, 8), (30, 9)) and "30 layers of 9" in other_shape((4, 8), (30, 9))


def rows(*values: float, layers=(0, 1, None)) -> pd.DataFrame:
    return pd.DataFrame({"layer": pd.array(layers, "Int64"), "token": "x", "value": values})


def test_tables_stand_below_each_other_and_their_difference_where_they_have_the_same_rows():
    table = joined(rows(1.0, 2.0, 3.0), rows(1.5, 1.0, 7.0), ("layer", "head"))
    assert table["of"].tolist() == ["A"] * 3 + ["B"] * 3 + ["B − A"] * 3
    assert table["value"].tolist()[-3:] == [0.5, -1.0, 4.0]
    other = joined(rows(1.0, 2.0, 3.0), rows(1.5, 1.0, 7.0, layers=(0, 1, 2)), ("layer",))
    assert set(other["of"]) == {"A", "B"}
