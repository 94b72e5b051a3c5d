"""What a question ignores changes nothing of its answer, and so computes nothing anew."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from cache.questions.catalogue import QUESTIONS, ROLES
from cache.service import Service
from core.experiment import Experiment
from core.settings import Settings
from tests.cache.jobs import hold
from tests.cache.options import OPTIONS, PLAN

PATIENCE = 60
# Another value of each field that some question ignores.
OTHER = {
    "picked": 5,
    "colon": 1,
    "answer": "slow",
    "original": "fox",
    "instruction": "Repeat the following sentence",
    "sentence": "The tired quick dog.",
    "occurrence": 1,
    "prompt": "The quick dog is quick: The",
}
# Its original is exact in a free prompt too.
PARTS = Experiment(original=" quick", dtype="bfloat16")
FREE = Experiment(prompt="Rephrase: The quick fox: The", original=" quick", answer=" swift", dtype="bfloat16")
FREE_OTHER = OTHER | {"answer": " slow", "original": " fox"}
# The tiny pair has no chat template.
CASES = [(name, field, PARTS, OTHER) for name, asked in QUESTIONS.items() for field in asked.ignores - {"template"}]
CASES += [(name, field, FREE, FREE_OTHER) for name, asked in QUESTIONS.items() for field in asked.ignores_free]


@pytest.fixture(scope="module")
def service():
    service = Service(Settings())
    yield service
    assert service.worker.stop()


def computed(service, question: str, experiment: Experiment):
    """The answer, computed now."""
    service.worker.clear()
    job = service.ask(question, experiment, "me", **OPTIONS[question])
    assert job.wait(PATIENCE) and job.error is None, job.error
    return job.result


def same(a, b) -> bool:
    """Whether two answers are equal to the last bit."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return np.array_equal(a, b, equal_nan=True) if isinstance(a, (np.ndarray, float)) else a == b


@pytest.mark.parametrize(
    "question, field, experiment, other", sorted(CASES, key=lambda case: case[:2]), ids=lambda case: str(case)[:20]
)
def test_an_ignored_field_changes_nothing_of_the_answer(service, question, field, experiment, other):
    changed = replace(experiment, **{field: other[field]})
    assert changed != experiment and QUESTIONS[question].matters(changed) == QUESTIONS[question].matters(experiment)
    assert same(computed(service, question, experiment), computed(service, question, changed))


# Values that no question which looks at the field would take.
SPOILT = {"picked": 400, "colon": 50, "answer": "two words", "original": "qui", "occurrence": 9}
SPOILT_CASES = [
    (name, experiment, tuple(sorted(ignored)))
    for name, asked in QUESTIONS.items()
    for experiment, ignored in ((PARTS, asked.ignores), (FREE, asked.ignores | asked.ignores_free))
    if ignored and (experiment is PARTS or asked.ignores_free)
]


@pytest.mark.parametrize("question, experiment, ignored", SPOILT_CASES, ids=lambda case: str(case)[:20])
def test_what_a_question_ignores_cannot_fail_it(service, question, experiment, ignored):
    spoilt = replace(experiment, **{name: value for name, value in SPOILT.items() if name in ignored})
    assert same(computed(service, question, experiment), computed(service, question, spoilt))


@pytest.mark.parametrize("question", ["pattern", "patterns", "layer_patterns", "continuation"])
@pytest.mark.parametrize("experiment", [PARTS, FREE])
def test_a_text_is_read_where_no_answer_can_be_suggested(service, question, experiment, monkeypatch):
    unread = replace(experiment, sentence="The quick bird sleeps.", answer="")
    with monkeypatch.context() as without:
        without.setattr("core.runs.suggest", lambda *args: [])
        found = computed(service, question, unread)
    assert same(found, computed(service, question, unread))


def test_who_waits_for_anothers_job_gets_none_of_their_failures(service):
    service.worker.clear()
    gate, _ = hold(service.worker, key="a third gate", priority=9)
    theirs = service.ask("pattern", replace(PARTS, answer="two words", picked=400), "they", **OPTIONS["pattern"])
    mine = service.ask("pattern", PARTS, "me", **OPTIONS["pattern"])
    assert mine is theirs
    gate.open.set()
    assert mine.wait(PATIENCE) and mine.state == "done"


def test_what_a_view_follows_changes_the_answers_that_do_not_ignore_it(service):
    for question in ("overview", "attention", "head"):
        assert not QUESTIONS[question].ignores & ROLES
    followed = [computed(service, "attention", replace(PARTS, picked=picked)) for picked in (None, 5)]
    assert not same(*followed)


def test_of_a_sentence_the_original_decides_where_the_continuation_begins(service):
    first, other = (replace(PARTS, original=word) for word in ("quick", "fox"))
    assert computed(service, "continuation", first) != computed(service, "continuation", other)


def test_a_followed_token_finds_the_sweep_that_is_there_and_ends_none_that_runs(service):
    experiment, followed = (replace(PARTS, sentence="The quick bear.", picked=picked) for picked in (None, 3))
    gate, _ = hold(service.worker)
    sweep = service.ask("sweep", experiment, "viewer", **PLAN)
    attention = service.ask("attention", experiment, "viewer")
    overview = service.ask("overview", followed, "viewer")
    assert sweep.state == "queued" and attention.state == "cancelled"
    assert service.ask("sweep", followed, "viewer", **PLAN) is sweep
    gate.open.set()
    assert all(job.wait(PATIENCE) and job.state == "done" for job in (sweep, overview))
    assert service.ask("sweep", replace(followed, colon=1), "viewer", **PLAN) is sweep
    assert service.known("sweep", replace(experiment, picked=4), **PLAN) is sweep.result


def test_another_sentence_still_ends_what_ran_for_the_last_one(service):
    gate, _ = hold(service.worker, key="another gate")
    sweep = service.ask("sweep", replace(PARTS, sentence="The quick wolf."), "viewer", **PLAN)
    service.ask("overview", replace(PARTS, sentence="The quick lion."), "viewer")
    assert sweep.state == "cancelled"
    gate.open.set()
