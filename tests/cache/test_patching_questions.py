"""Questions of patching: what they publish, when they give way, and that a cancelled one leaves no trace."""

from functools import partial

import numpy as np
import pytest
import torch

from cache.job import Cancelled
from cache.pace import Pace
from cache.questions import patching as patching_questions
from cache.questions.work import Earlier, Work
from core.patching.budget import Budget
from core.patching.cost import of_sweep
from core.patching.paths import paths
from core.patching.sweeps import sweep
from core.recording import record
from core.runs import Runs

PLAN = {"site": "z", "direction": "instruct_to_base", "positions": "all"}
FROZEN = {"frozen_patterns": True}


class Line:
    """Stands for a job's line to its worker: keeps what is published, and runs `at_checkpoint` between two chunks."""

    def __init__(self, at_checkpoint=lambda: None):
        self.at_checkpoint = at_checkpoint
        self.published: list = []
        self.counts: list[tuple[int, int]] = []
        self.messages: list[str] = []
        self.wanted = True

    def progress(self, done: int, total: int, message: str = "") -> None:
        self.counts.append((done, total))
        self.messages.append(message)

    def publish(self, partial) -> None:
        self.published.append(partial)

    def checkpoint(self) -> None:
        self.stop_if_unwanted()
        self.at_checkpoint()

    def stop_if_unwanted(self) -> None:
        if not self.wanted:
            raise Cancelled("nobody waits")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch, pair_of):
    """Three rows a chunk, the no-op included: several chunks a sweep."""
    tokens = 3 * len(pair_of().prompt.ids)
    monkeypatch.setattr("core.patching.sweeps.default_budget", lambda bridge: Budget(10**9, tokens))


@pytest.fixture
def work_of(pair_of):
    pair = pair_of()
    return lambda line: Work(lambda: Runs(pair.prompt, pair.recordings), None, line, {})


def unchanged(pair) -> bool:
    """Whether both models still do on the prompt what they did before."""
    again = [record(bridge, pair.prompt.ids) for bridge in pair.bridges]
    return all(torch.equal(a.final_residual, b.final_residual) for a, b in zip(again, pair.recordings))


def test_a_sweep_publishes_every_chunk_and_ends_with_the_cores_result(work_of, pair_of):
    line = Line()
    result = patching_questions.sweep(work_of(line), **PLAN)
    pair = pair_of()
    np.testing.assert_array_equal(result.logit_diff, sweep(pair.recordings, pair.prompt, **PLAN).logit_diff)
    done = [partial.done for partial in line.published]
    assert len(done) > 4 and done[:2] == [2, 4] and done == sorted(done) and done[-1] == 8
    assert line.counts == [(0, 0), *((count, 8) for count in done)]


def test_between_two_chunks_another_job_may_use_the_models(work_of, pair_of):
    """A hook left in place would grow the other job's batch; the sweep in turn must not notice the other job."""
    pair = pair_of()
    clean = []
    line = Line(lambda: clean.append(unchanged(pair)))
    result = patching_questions.sweep(work_of(line), **PLAN)
    assert len(clean) > 4 and all(clean)
    np.testing.assert_array_equal(result.logit_diff, sweep(pair.recordings, pair.prompt, **PLAN).logit_diff)


def test_a_sweep_nobody_waits_for_stops_within_its_chunk_and_leaves_no_hook(work_of, pair_of):
    line = Line()
    asked = []

    def stop_if_unwanted() -> None:
        asked.append(len(line.published))
        if len(line.published) == 1 and asked.count(1) == 3:
            raise Cancelled("nobody waits")

    line.stop_if_unwanted = stop_if_unwanted
    with pytest.raises(Cancelled):
        patching_questions.sweep(work_of(line), **PLAN)
    assert len(line.published) == 1
    assert unchanged(pair_of())


@pytest.mark.parametrize("question", ["sweep", "position_map", "pairs", "head_set", "greedy"])
def test_every_plan_takes_frozen_patterns_and_says_so(work_of, question):
    members = {"members": ((0, 1), (0, 3))}
    options = {"pairs": members, "head_set": members, "greedy": {"steps": 2}}.get(question, {})
    plan = {"site": "mlp_out", "direction": "instruct_to_base"} if question == "position_map" else PLAN
    lines = [Line(), Line()]
    ask = getattr(patching_questions, question)
    free, frozen = (ask(work_of(line), **options, **plan, **how) for line, how in zip(lines, ({}, FROZEN)))
    # What is greedily chosen may lie in the last layer, behind which no pattern is.
    differ = free.logit_diff.ravel().tolist() != pytest.approx(frozen.logit_diff.ravel().tolist(), abs=1e-5)
    assert differ or question == "greedy"
    said = [any("patterns frozen" in message for message in line.messages) for line in lines]
    assert said == [False, True]


def test_paths_fill_queries_first_and_end_with_the_cores_result(work_of, pair_of):
    line, pair, options = Line(), pair_of(), {"layer": 1, "head": 2, "direction": "base_to_instruct", "alone": False}
    result = patching_questions.paths(work_of(line), **options)
    expected = paths(pair.recordings, pair.prompt, **options)
    np.testing.assert_array_equal(result.logit_diff, expected.logit_diff)
    assert np.isnan(line.published[0].logit_diff[1:]).all() and line.published[0].done > 0


@pytest.mark.parametrize("question", ["position_map", "pairs", "head_set", "greedy"])
def test_every_longer_question_publishes_what_it_has(work_of, question):
    members = {"members": ((0, 1), (1, 0), (1, 3))}
    options = {"pairs": members, "head_set": members, "greedy": {"steps": 2}}.get(question, {})
    plan = {"site": "mlp_out", "direction": "instruct_to_base"} if question == "position_map" else PLAN
    line = Line()
    result = getattr(patching_questions, question)(work_of(line), **options, **plan)
    np.testing.assert_array_equal(line.published[-1].logit_diff, result.logit_diff)


@pytest.mark.parametrize("how", [{}, FROZEN], ids=["free", "frozen"])
def test_a_greedy_circuit_takes_the_sweep_that_is_known_and_runs_none(pair_of, work_of, monkeypatch, how):
    pair, plan = pair_of(), PLAN | how
    singles = sweep(pair.recordings, pair.prompt, **plan)
    alone = patching_questions.greedy(work_of(Line()), steps=2, **plan)
    monkeypatch.setattr("core.patching.sweeps.sweep", None)
    monkeypatch.setattr("core.patching.greedy.sweep", None)
    asked = []

    def known(question: str, **options):
        asked.append((question, options))
        return singles

    result = patching_questions.greedy(
        Work(lambda: Runs(pair.prompt, pair.recordings), None, Line(), {}, Earlier(known)), steps=2, **plan
    )
    assert asked == [("sweep", plan)]
    assert result.members == alone.members
    np.testing.assert_array_equal(result.logit_diff, alone.logit_diff)


def test_a_question_of_minutes_says_so_before_its_first_row_and_while_it_runs(pair_of):
    pair, line, said = pair_of(), Line(), []
    line.progress = lambda done, total, message="": said.append((done, message))
    hour = Pace(3600.0)  # a token in a layer
    work = Work(lambda: Runs(pair.prompt, pair.recordings), None, line, {}, pace=hour, cost=partial(of_sweep, **PLAN))
    patching_questions.sweep(work, **PLAN)
    assert said[0][0] == 0 and said[0][1].endswith(" min left)") and " (about " in said[0][1]
    # Its own rows have told better by then.
    assert "min left" not in said[-1][1] and hour.seconds < 60


def test_a_card_publishes_what_it_has_and_takes_the_sweep_that_is_known(pair_of, work_of):
    pair = pair_of()
    given = {"members": ((0, 1), (1, 0), (1, 3)), "site": "z", "positions": "all"}
    line = Line()
    result = patching_questions.card(work_of(line), **given)
    assert result.complete and not line.published[0].complete
    np.testing.assert_array_equal(line.published[-1].forth.logit_diff, result.forth.logit_diff)
    singles, asked = sweep(pair.recordings, pair.prompt, **PLAN), []

    def known(question: str, **options):
        asked.append((question, options))
        return singles

    work = Work(lambda: Runs(pair.prompt, pair.recordings), None, Line(), {}, Earlier(known))
    again = patching_questions.card(work, **given)
    assert asked == [("sweep", PLAN)]
    for (layer, head), value in zip(given["members"], (again.of([member]).effect for member in given["members"])):
        assert value == singles.effect[layer, head]
