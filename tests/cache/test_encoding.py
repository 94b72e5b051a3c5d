"""Answers come back from their bytes equal field by field; what is no answer is refused."""

from __future__ import annotations

import json
import math
import pickle
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, save

from cache.encoding import LARGEST, PLAIN, Undecodable, decode, encode
from cache.questions.catalogue import QUESTIONS
from cache.service import Service
from core.experiment import Experiment
from core.settings import Settings
from tests.cache.options import OPTIONS, PLAN

PATIENCE = 120
# A position is a number in a type that may be a word, too.
ASKED = OPTIONS | {"sweep": PLAN | {"positions": 3}}
LEAVES = {np.ndarray, str, int, float, bool, type(None)}


@dataclass(frozen=True)
class Inner:
    values: np.ndarray
    cells: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    both: tuple[Inner, Inner]
    positions: str | int
    answer: str | None
    value: float
    flag: bool
    roles: Mapping[str, int | None]
    counts: dict[int, str]


def outer(values: np.ndarray, value: float = 0.1) -> Outer:
    inner = Inner(values, ((1, 2), (3, 4)))
    return Outer(inner, (inner, replace(inner, cells=())), 7, None, value, True, {"a": None, "b": 2}, {1: "x", -2: ""})


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit and of one type, NaN being equal to NaN."""
    if isinstance(a, np.generic):
        a = a.item()
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(tuple(a), tuple(b)) and same(tuple(a.values()), tuple(b.values()))
    return a == b or (a != a and b != b)


def leaves(kind: Any) -> Iterator[Any]:
    """The types that a declared type is built of in the end."""
    if is_dataclass(kind):
        for hint in get_type_hints(kind).values():
            yield from leaves(hint)
    elif arguments := [part for part in get_args(kind) if part is not Ellipsis]:
        for part in arguments:
            yield from leaves(part)
    else:
        yield kind


@pytest.fixture(scope="module")
def service():
    service = Service(Settings(store_mb=0))
    yield service
    assert service.worker.stop()


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_answer_comes_back_equal_field_by_field(service, question):
    # Precision is a question where the dtype is below the stored weights'.
    dtype = "bfloat16" if question in ("stored_gap", "recomputed") else ""
    job = service.ask(question, Experiment(dtype=dtype, picked=3), "me", **ASKED[question])
    assert job.wait(PATIENCE) and job.error is None, job.error
    kind = QUESTIONS[question].kind
    back = decode(encode(job.result, kind), kind)
    assert same(job.result, back)


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_answer_is_declared_of_types_that_can_be_encoded(question):
    assert set(leaves(QUESTIONS[question].kind)) <= LEAVES


def test_a_type_that_cannot_be_encoded_is_seen_in_declaration_and_value():
    @dataclass(frozen=True)
    class Table:
        frame: pd.DataFrame

    assert set(leaves(tuple[Table, ...])) == {pd.DataFrame}
    with pytest.raises(TypeError):
        encode(Table(pd.DataFrame()), Table)
    with pytest.raises(TypeError):
        encode(Inner(np.array([object()]), ()), Inner)
    with pytest.raises(TypeError):
        encode(Inner(np.float32(1), ()), Inner)
    with pytest.raises(TypeError):
        encode(Inner([1.0], ()), Inner)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool"])
def test_arrays_keep_dtype_shape_and_order_whatever_they_are_views_of(dtype):
    grid = np.arange(24).reshape(4, 6).astype(dtype)
    for values in (grid, grid.T, grid[::2, 1::3], grid[:0], np.asfortranarray(grid), np.array(1, dtype), grid[::-1]):
        assert same(outer(values), decode(encode(outer(values), Outer), Outer))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 0.1, 5e-324, 2**53 + 1.0])
def test_numbers_are_exact(value):
    back = decode(encode(outer(np.array([value, 1.0]), value), Outer), Outer)
    assert same(outer(np.array([value, 1.0]), value), back) and math.copysign(1, back.value) == math.copysign(1, value)


def test_numpys_numbers_become_pythons():
    back = decode(encode(replace(outer(np.zeros(1)), positions=np.int64(3), value=np.float32(0.1)), Outer), Outer)
    assert (type(back.positions), type(back.value)) == (int, float) and back.value == float(np.float32(0.1))


@pytest.mark.parametrize("text", ["", "swift", "\ud800 \0 </script> 🦊", "$array", '{"$array":"0"}'])
def test_any_text_comes_back(text):
    assert decode(encode(text, str), str) == text


def test_what_repeats_itself_is_compressed():
    assert len(encode(Inner(np.zeros(10_000, "float32"), ()), Inner)) < 1000
    assert encode(Inner(np.frombuffer(np.random.default_rng(0).bytes(8000)), ()), Inner)[:1] == PLAIN


def test_numbers_of_one_size_are_compressed_by_what_is_alike_in_them():
    numbers = 1 + np.random.default_rng(0).random(10_000, "float32")
    # The first of four bytes is the same in all of them, the second one of 128.
    assert len(encode(Inner(numbers, ()), Inner)) < 0.75 * numbers.nbytes


def edited(was: str, now: str) -> bytes:
    """A whole answer in which something else is written."""
    plain = zlib.decompress(GOOD[1:])
    length = int.from_bytes(plain[:8], "little")
    text = json.loads(plain[8 : 8 + length])["__metadata__"]["answer"]
    assert was in text
    return PLAIN + save(load(plain), {"answer": text.replace(was, now)})


GOOD = encode(outer(np.zeros(100)), Outer)
BROKEN = {
    "nothing": b"",
    "one byte": PLAIN,
    "cut short": GOOD[:-1],
    "cut shorter": GOOD[:10],
    "of another kind of file": b"q" + GOOD[1:],
    "a pickle": pickle.dumps(outer(np.zeros(1))),
    "a text": encode("a text", str),
    "another dataclass": encode(Inner(np.zeros(3), ()), Inner),
    "a number turned list": edited('"positions":7', '"positions":[]'),
    "a number turned text": edited('"value":0.1', '"value":"0.1"'),
    "true turned number": edited("true", "1"),
    "a number turned true": edited("[1,2]", "[true,2]"),
    "an array that is not there": edited('{"$array":"0"}', '{"$array":"9"}'),
    "an array turned list": edited('{"$array":"0"}', "[1.0]"),
    "a field missing": edited('"flag":true,', ""),
    "a field too many": edited('"flag":true', '"flag":true,"more":1'),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_answer_of_the_kind_is_refused(what):
    assert same(decode(edited("true", "true"), Outer), outer(np.zeros(100)))
    with pytest.raises(Undecodable):
        decode(BROKEN[what], Outer)


def test_an_answer_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("cache.encoding.LARGEST", 10_000)
    with pytest.raises(Undecodable, match="larger"):
        decode(b"p" + zlib.compress(bytes(100_000)), Outer)
    assert LARGEST > 10**8
