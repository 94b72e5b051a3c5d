"""Keys of answers on disk: another key for whatever changes a number, the same for whatever does not."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from cache import keys
from cache.keys import answer_key
from core.experiment import Experiment

OTHER = {int: 7, str: "another"}


def key(experiment: Experiment = Experiment(), question="sweep", identity="weights", dtype="float32", **options) -> str:
    return answer_key(question, options, experiment, identity, dtype)


def changed(name: str) -> Experiment:
    kind = type(getattr(Experiment(), name))
    return replace(Experiment(), **{name: OTHER.get(kind, 7)})


@pytest.mark.parametrize("name", [field.name for field in fields(Experiment)])
def test_every_field_counts_but_those_that_identity_and_dtype_stand_for(name):
    assert (key(changed(name)) == key()) == (name in ("pair", "base", "instruct", "dtype"))


def test_question_options_identity_dtype_and_code_count(monkeypatch):
    made = {key(), key(question="estimate"), key(site="z"), key(site="v"), key(identity="others"), key(dtype="float64")}
    monkeypatch.setattr(keys, "CODE", keys.CODE + 1)
    assert len(made | {key()}) == 7


def test_the_order_of_options_and_numpys_numbers_do_not_count():
    assert key(site="z", layer=np.int64(3)) == key(layer=3, site="z")
    assert key(heads=((1, 2), (3, 4))) == key(heads=[[1, 2], [3, 4]]) != key(heads=((1, 2, 3, 4),))


def test_a_key_is_the_same_in_every_process_and_version():
    """It says when answers that were kept before would not be found any more."""
    plain = Experiment(instruction="do", sentence="a b c", original="b")
    assert key(plain) == "3c3634c2c149bb567bff40943d28b184bd897ae7705539fcc6f2bcea5c69fdc8"
