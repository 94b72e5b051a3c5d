"""A run over a set that is broken off: what is finished is never done again, and the tables are the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.experiment import Experiment
from core.models.loading import load_pair
from core.models.pairs import registry
from core.runs import record_every
from core.sets import parts as in_parts
from core.sets import running
from core.sets.averages import SetAverages, averages_of
from core.sets.fields import (
    ATTRIBUTION,
    PATCHING,
    SUMMARY,
    Plan,
    attention_field,
    attribution_field,
    common_roles,
    patching_field,
)
from core.sets.kept import InMemory, OnDisk
from core.sets.parts import parts_of
from core.sets.reading import read_file, shipped_file
from core.sets.running import run_set
from core.sets.usable import usable
from tests.few_prompts import COUNT, few_prompts, same


class Cancelled(BaseException):
    """What a checkpoint raises."""


@pytest.fixture(scope="module")
def pair():
    return load_pair(registry()["tiny"])


@pytest.fixture(scope="module")
def used(pair):
    return few_prompts(pair)


@pytest.fixture(scope="module")
def plan(used):
    return Plan(("z", "w_mlp"), "instruct_to_base", "all", common_roles(used))


@pytest.fixture(scope="module")
def found(pair, used, plan) -> SetAverages:
    """Of a run that nothing breaks off."""
    kept = InMemory()
    run_set(used, pair, plan, kept)
    return averages_of(used, plan, kept)


def recorded(monkeypatch) -> list[object]:
    """The prompts that both models run from now on."""
    ran: list[object] = []

    def counted(prompts, pair):
        ran.extend(prompts)
        return record_every(prompts, pair)

    monkeypatch.setattr(running, "record_every", counted)
    return ran


@pytest.mark.parametrize("at", ["between prompts", "within a prompt", "while it is written"])
def test_a_run_that_breaks_off_goes_on_and_gives_identical_tables(at, pair, used, plan, found, tmp_path, monkeypatch):
    ran, path = recorded(monkeypatch), tmp_path / "finished.sqlite"
    calls = {"n": 0}

    def cancel_at(number: int) -> None:
        calls["n"] += 1
        if calls["n"] == number:
            raise Cancelled

    with pytest.raises(Cancelled), OnDisk(path) as kept:
        if at == "while it is written":
            put = kept.keep_all

            def keep(together):
                # The first fields are written when the process ends.
                if len(ran) >= 4:
                    last = {**list(together.values())[-1], "attention end": 1}
                    with pytest.raises(AttributeError):
                        put({**together, list(together)[-1]: last})
                    raise Cancelled
                put(together)

            monkeypatch.setattr(kept, "keep_all", keep)
            run_set(used, pair, plan, kept)
        elif at == "between prompts":
            run_set(used, pair, plan, kept, progress=lambda so_far: cancel_at(3))
        else:
            run_set(used, pair, plan, kept, checkpoint=lambda: cancel_at(20))
    before = len(ran)
    assert 0 < before < COUNT
    with OnDisk(path) as kept:
        done = [row for row in used if row.key in kept]
        assert (len(done) == before) == (at == "between prompts")
        run_set(used, pair, plan, kept)
        again = averages_of(used, plan, kept)
    # Those that had begun are run again, no other.
    assert len(ran) == COUNT + before - len(done) and not [row for row in done if row.prompt in ran[before:]]
    assert same(again, found)
    with OnDisk(path) as kept:
        run_set(used, pair, plan, kept)
    assert len(ran) == COUNT + before - len(done)


def test_a_run_cut_within_a_recorded_part_goes_on_with_that_part_whole_and_no_other(pair, tmp_path, monkeypatch):
    """A part is recorded in one pass and its prompts share passes, so what it gives is that of the part as a whole."""
    every = usable(read_file(shipped_file("tiny")), pair, Experiment()).used
    most = Counter(row.entry.instruction for row in every).most_common(1)[0][0]
    rows = [row for row in every if row.entry.instruction == most][::7][:14]
    monkeypatch.setattr(in_parts, "MOST", 5)
    short, path = Plan(("z",), "instruct_to_base", "all", common_roles(rows)), tmp_path / "finished.sqlite"
    first, second, _ = parts = parts_of(rows, InMemory())
    lengths = Counter(len(row.prompt.ids) for row in second.rows)
    assert len(lengths) > 2 and max(lengths.values()) > 1, "the part in the middle takes several passes"
    whole = InMemory()
    run_set(rows, pair, short, whole)
    ran, patched, numbers = recorded(monkeypatch), [], running.numbers

    def cut(*given):
        if len(patched) == len(first.rows) + len(second.rows) // 2:
            raise Cancelled
        patched.append(given[1])
        return numbers(*given)

    monkeypatch.setattr(running, "numbers", cut)
    with pytest.raises(Cancelled), OnDisk(path) as kept:
        run_set(rows, pair, short, kept)
    of = lambda part: [row.prompt for row in part.rows]  # noqa: E731
    assert ran == of(first) + of(second), "the second part was recorded, and half of it patched"
    monkeypatch.setattr(running, "numbers", lambda *given: (patched.append(given[1]), numbers(*given))[1])
    ran.clear()
    patched.clear()
    with OnDisk(path) as kept:
        assert [row for row in rows if row.key in kept] == [row for row in rows if row in first.rows]
        run_set(rows, pair, short, kept)
        # To the bit, and so is every table that is made of them.
        keys = [row.key for row in rows]
        fields = [*SUMMARY, *map(attribution_field, ATTRIBUTION), *map(attention_field, short.roles)]
        for name in (*fields, *(patching_field("z", measure) for measure in PATCHING)):
            assert np.array_equal(kept.column(name, keys), whole.column(name, keys)), name
    left = [prompt for part in parts[1:] for prompt in of(part)]
    assert ran == left and patched == left, "what was kept is not run again, all else is, once"
