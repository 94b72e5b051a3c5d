"""Both models over a set: its averages are those of its prompts, and its tables name every one."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.attention import attend
from core.attribution import attribute
from core.experiment import Experiment, InputError
from core.logit_difference import summarize
from core.models.loading import load_pair
from core.models.pairs import registry
from core.patching.budget import Budget
from core.patching.sweeps import sweep
from core.runs import record_both, record_every
from core.sets import running
from core.sets.averages import SetAverages, averages_of
from core.sets.entries import Usable
from core.sets.fields import (
    Plan,
    common_roles,
)
from core.sets.kept import InMemory, OnDisk
from core.sets.parts import MOST, parts_of
from core.sets.reading import read_file, read_set, shipped_file
from core.sets.results import result_of
from core.sets.running import run_set
from core.sets.statistics import average
from core.sets.usable import usable
from tests.few_prompts import COUNT, few_prompts, same


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
def alone(pair, used):
    """Each prompt analysed on its own."""
    recorded = [(record_both(row.prompt, pair), row.prompt) for row in used]
    return [
        (summarize(r, p), attribute(r, p), attend(r, p), {s: sweep(r, p, s) for s in ("z", "w_mlp")})
        for r, p in recorded
    ]


@pytest.fixture(scope="module")
def found(pair, used, plan) -> SetAverages:
    kept = InMemory()
    run_set(used, pair, plan, kept)
    return averages_of(used, plan, kept)


def test_every_average_is_that_of_the_prompts_analysed_alone(found, alone):
    base, instruct = np.transpose([summary.logit_diff for summary, *_ in alone])
    of_models = [base.mean(), instruct.mean(), (instruct - base).mean()]
    assert np.allclose(found.summary["logit_diff"].mean, of_models, atol=1e-5)
    heads = np.stack([attribution.head for _, attribution, *_ in alone])
    assert np.allclose(found.attribution["head"].mean[:2], heads.mean(0), atol=1e-5)
    assert np.allclose(found.attribution["head"].mean[2], (heads[:, 1] - heads[:, 0]).mean(0), atol=1e-5)
    weights = np.stack([attention.at("original") for *_, attention, _ in alone])
    assert np.allclose(found.attention["original"].mean[:2], weights.mean(0), atol=1e-6)
    for patches in found.patching:
        effects = np.stack([sweeps[patches.site].effect for *_, sweeps in alone])
        assert np.allclose(patches.effect.mean, effects.mean(0), atol=1e-5)
        assert np.allclose(patches.ratio.value, effects.mean(0) / (instruct - base).mean(), atol=1e-5)
        assert np.allclose(patches.effect.se, average(effects).se, atol=1e-5)


def test_an_equal_component_has_no_effect_and_p_1(found):
    """Of the tiny pair's weights only those of queries, keys and values differ."""
    (mlp,) = [patches for patches in found.patching if patches.site == "w_mlp"]
    assert not mlp.effect.mean.any() and (mlp.p == 1).all() and (mlp.q == 1).all()


def test_prompts_of_one_instruction_share_their_beginning_whatever_is_kept(pair, used):
    same = [row for row in used if row.entry.instruction == used[0].entry.instruction]
    nothing, some = InMemory(), InMemory()
    text = parts_of(same, nothing)[0].shared
    assert all(row.prompt.ids[: len(text)] == text for row in same) and len(text) > 4
    assert len({row.prompt.ids[: len(text) + 1] for row in same}) > 1
    assert parts_of(same[:1], nothing)[0].shared == ()
    some.keep(same[0].key, {})
    whole, left = parts_of(same, nothing), parts_of(same, some)
    assert {(part.shared, part.longest) for part in left} == {(part.shared, part.longest) for part in whole}
    assert [row for part in left for row in part.rows] == [row for part in whole for row in part.rows if row != same[0]]


def test_a_part_holds_prompts_of_one_instruction_in_order_of_length_and_every_prompt_is_in_one(pair):
    every = usable(read_file(shipped_file("tiny")), pair, Experiment()).used
    parts = parts_of(every, InMemory())
    assert sorted(row.key for part in parts for row in part.rows) == sorted(row.key for row in every)
    for part in parts:
        lengths = [len(row.prompt.ids) for row in part.rows]
        assert len({row.entry.instruction for row in part.rows}) == 1 and lengths == sorted(lengths)
        assert 0 < len(part.rows) <= MOST
    assert any(len({len(row.prompt.ids) for row in part.rows}) > 1 for part in parts)
    # No length that fits into a part is in two of one instruction.
    places = [{(part.rows[0].entry.instruction, len(row.prompt.ids)) for row in part.rows} for part in parts]
    in_all = Counter(place for of_part in places for place in of_part)
    sizes = Counter((row.entry.instruction, len(row.prompt.ids)) for row in every)
    assert all(count == 1 for place, count in in_all.items() if sizes[place] <= MOST)


def test_of_long_prompts_no_more_tokens_are_recorded_at_once_than_a_pass_may_hold(pair, used, plan, monkeypatch):
    most = max(parts_of(used, InMemory()), key=lambda part: len(part.rows))
    count, longest = len(most.rows), max(len(row.prompt.ids) for row in most.rows)
    assert count > 2
    recorded = []

    def counted(prompts, of):
        recorded.append(len(prompts))
        return record_every(prompts, of)

    monkeypatch.setattr(running, "record_every", counted)
    for tokens, together in ((count * longest, [count]), (count * longest - 1, [count - 1, 1])):
        monkeypatch.setattr(running.Runner, "_budget", lambda runner: Budget(10**9, tokens))
        recorded.clear()
        run_set(most.rows, pair, replace(plan, sites=()), InMemory())
        assert recorded == together


def test_groups_are_the_averages_of_their_prompts(found, used, alone):
    for (column, label), group in found.by_group.items():
        mine = [n for n, row in enumerate(used) if getattr(row.entry, column) == label]
        expected = np.mean([alone[n][0].logit_diff for n in mine], 0)
        assert group.n == len(mine) and np.allclose(group.mean[:2], expected, atol=1e-5)
    assert {column for column, _ in found.by_group} == {"structure", "instruction"}


def test_scores_count_towards_the_donor_in_either_direction(pair, used, plan):
    kept, mirror = InMemory(), replace(plan, sites=("resid_pre",), direction="base_to_instruct")
    run_set(used, pair, mirror, kept)
    (patches,) = averages_of(used, mirror, kept).patching
    # The whole stream of the last layer before its attention carries most of the gap.
    assert patches.effect.mean[-1, 0] < 0 < 0.5 < patches.ratio.value[-1, 0]
    assert patches.ratio.ci_low[-1, 0] < patches.ratio.value[-1, 0] < patches.ratio.ci_high[-1, 0]


def test_progress_counts_what_was_kept_and_says_the_means_so_far(pair, used, plan, alone):
    kept, seen = InMemory(), []
    run_set(used[:2], pair, replace(plan, sites=()), kept)
    run_set(used[:4], pair, replace(plan, sites=()), kept, progress=seen.append)
    assert [(so_far.done, so_far.total) for so_far in seen] == [(2, 4), (3, 4), (4, 4)]
    differences = [summary.logit_diff for summary, *_ in alone[:4]]
    assert np.allclose(seen[0].logit_diff, np.mean(differences[:2], 0), atol=1e-5)
    assert np.allclose(seen[-1].logit_diff, np.mean(differences, 0), atol=1e-5)


def test_averages_of_a_part_are_those_of_the_prompts_that_are_kept(pair, used, plan):
    kept, short = InMemory(), replace(plan, sites=())
    run_set(used[:3], pair, short, kept)
    part = averages_of(used, short, kept)
    assert part.n == 3 and same(part, averages_of(used[:3], short, kept)) and "patching" not in part.tables()


def test_memory_does_not_grow_with_the_number_of_prompts(used, plan, tmp_path, monkeypatch):
    """With values in place of runs: what the set itself holds, in bytes."""
    fields = {"logit_diff": np.ones(2)} | {f"field {n}": np.ones((8, 64)) for n in range(20)}

    def run(runner, part, checkpoint):
        for row in part.rows:
            yield [(row.key, {name: array.copy() for name, array in fields.items()})]

    monkeypatch.setattr(running.Runner, "__init__", lambda *given: None)
    monkeypatch.setattr(running.Runner, "run", run)
    peaks = []
    for count in (20, 200):
        rows = [replace(used[0], prompt=replace(used[0].prompt, answer_id=n)) for n in range(count)]
        with OnDisk(tmp_path / f"{count}.sqlite") as kept:
            tracemalloc.start()
            run_set(rows, None, plan, kept)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    # A prompt's key is remembered with it.
    assert peaks[1] < 1.2 * peaks[0] + 200 * 200, peaks


def test_the_table_of_prompts_names_every_row_of_the_file_and_why_it_was_left_out(pair, plan):
    rows = "\n".join(
        [
            "instruction,sentence,original,answers,id",
            "Rephrase the adjectives of the sentence,The happy girl sees the old dog.,happy,gladdest;glad,a",
            "Rephrase the adjectives of the sentence,The happy girl sees the old dog.,sad,glad,b",
            "Rephrase the adjectives of the sentence,The happy girl sees the old dog.,old,agedly,c",
        ]
    )
    against = usable(read_set(rows.encode()), pair, Experiment())
    kept, short = InMemory(), replace(plan, sites=())
    run_set(against.used, pair, short, kept)
    frame = result_of(against, short, kept).to_frame()
    assert list(frame["id"]) == ["a", "b", "c"] and list(frame["used"]) == [True, False, False]
    reasons = list(frame["reason"])
    assert reasons[0].startswith("' glad' is taken: the answer ' gladdest' is")
    assert "does not stand in the sentence" in reasons[1] and "no answer can be used" in reasons[2]
    numbers = frame[["base_logit_diff", "instruct_logit_diff"]]
    assert np.isfinite(numbers.iloc[0]).all() and numbers.iloc[1:].isna().all(axis=None)


def test_a_set_without_a_row_that_can_be_used_is_refused():
    with pytest.raises(InputError, match="no row of the set can be used"):
        common_roles(Usable((), ()).used)


def test_the_key_is_all_that_numbers_depend_on_and_nothing_else(used):
    row = used[0]
    assert replace(row, entry=replace(row.entry, id="other", line=9, structure="x"), note="x").key == row.key
    roles = {**row.prompt.roles, "colon": 1}
    for changed in ({"ids": (1, 2)}, {"answer_id": 1}, {"original_id": 1}, {"roles": roles}):
        assert replace(row, prompt=replace(row.prompt, **changed)).key != row.key


def test_tables_have_the_columns_that_others_rely_on(found):
    tables = found.tables()
    statistics = ["n", "mean", "se", "ci_low", "ci_high", "same_sign"]
    assert list(tables["summary"]) == ["model", "measure", "structure", "instruction", *statistics]
    assert list(tables["attribution"]) == ["model", "component", "layer", "head", *statistics]
    assert list(tables["attention"]) == ["model", "role", "layer", "head", *statistics]
    expected = ["direction", "site", "layer", "head", *statistics, "ratio", "ratio_low", "ratio_high", "p", "q"]
    assert list(tables["patching"])[: len(expected)] == expected
    for name, frame in tables.items():
        assert (frame["n"] <= COUNT).all() and not frame.filter(["n", "mean"]).isna().any(axis=None), name
    assert pd.isna(tables["patching"].query("site == 'w_mlp'")["head"]).all()
