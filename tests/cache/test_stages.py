"""Stages: what is done once for all questions, and what a nested one leaves as it was."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from cache.service import Service
from cache.stages import MOST_RECORDINGS, Stage, Stages
from core.experiment import Experiment
from core.models import loading
from core.models.loading import find_checkpoints
from core.models.pairs import registry
from core.models.room import bytes_needed
from core.settings import Settings

TINY = registry()["tiny"]


class Quiet:
    """Stands for a job's line to its worker."""

    def progress(self, *args) -> None:
        pass


@pytest.fixture(scope="module")
def stages():
    return Stages(Settings())


def work(stages, **changes):
    return stages.work(replace(Experiment(), **changes), TINY, Quiet())


def test_a_stage_within_another_leaves_its_threads_as_they_were(stages, monkeypatch):
    threads = {"float32": 2, "bfloat16": 1}
    monkeypatch.setattr(loading, "fit_threads", lambda pair, asked: torch.set_num_threads(threads[pair.dtype]))
    with work(stages):
        with work(stages, dtype="bfloat16"):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 1


def test_files_of_a_resident_pair_are_not_looked_at_again(stages, monkeypatch):
    with work(stages):
        pass
    monkeypatch.setattr("cache.stages.files_here", lambda spec: pytest.fail("looked at"))
    for changes in ({}, {"dtype": "float32"}, {"sentence": "The quick lion."}):
        with work(stages, **changes):
            pass


def test_a_prompt_is_read_and_answered_once_for_all_questions(stages, monkeypatch):
    from core import runs

    read, settled = [], []
    monkeypatch.setattr(runs, "read_prompt", lambda *args, of=runs.read_prompt: read.append(1) or of(*args))
    monkeypatch.setattr(runs, "suggest", lambda *args, of=runs.suggest: settled.append(1) or of(*args))
    prompts = set()
    for _ in range(3):
        with work(stages, sentence="The quick cat sleeps.") as found:
            prompts.add(id(found.runs.prompt))
            assert found.runs.recordings[1].ids == found.runs.prompt.ids
    assert (len(read), len(settled), len(prompts)) == (1, 1, 1)


def test_a_budget_that_fits_one_model_gives_the_same_answers_in_turns():
    need = [bytes_needed(find_checkpoints(TINY), "float32", in_turns=in_turns) for in_turns in (True, False)]
    asked = [
        ("overview", {}),
        ("attribution", {}),
        ("sweep", dict(site="z", direction="base_to_instruct", positions="all")),
    ]
    found = []
    for room in (need[1], sum(need) // 2):
        service = Service(Settings(memory_gb=room / 1e9, device="cpu"))
        jobs = [service.ask(question, Experiment(), "me", **options) for question, options in asked]
        assert all(job.wait(60) for job in jobs)
        (resident,) = service.stages.residents.snapshot()
        found.append((resident.bytes, *(job.result for job in jobs)))
        assert service.worker.stop()
    (both, overview, attribution, swept), (one, *in_turns) = found
    assert (both, one) == (need[1], need[0])
    assert (overview.in_turns, in_turns[0].in_turns) == (False, True)
    assert in_turns[0].summary.logit_diff.tobytes() == overview.summary.logit_diff.tobytes()
    assert in_turns[1].head.tobytes() == attribution.head.tobytes()
    assert in_turns[2].logit_diff.tobytes() == swept.logit_diff.tobytes()


def test_recordings_past_their_share_go_oldest_first_and_the_newest_stays():
    stage = Stage(pair=None)
    for key in range(3):
        stage.recordings[key] = (SimpleNamespace(nbytes=30), SimpleNamespace(nbytes=20))
    stage.bound(100)
    assert list(stage.recordings) == [1, 2]
    stage.bound(1)
    assert list(stage.recordings) == [2]


def test_of_small_recordings_so_many_stay():
    stage = Stage(pair=None)
    for key in range(2 * MOST_RECORDINGS):
        stage.recordings[key] = (SimpleNamespace(nbytes=0), SimpleNamespace(nbytes=0))
        stage.bound(100)
    assert list(stage.recordings) == list(range(MOST_RECORDINGS, 2 * MOST_RECORDINGS))
