"""The question which word INSTRUCT would change: one answer for all words of a sentence, before any is chosen."""

import threading
from dataclasses import replace

import pytest

from cache.encoding import decode, encode
from cache.questions.catalogue import QUESTIONS
from cache.service import Service
from core.experiment import Experiment
from core.settings import Settings

PATIENCE = 60


@pytest.fixture(scope="module")
def service():
    service = Service(Settings())
    yield service
    assert service.worker.stop()


def test_a_sentence_without_the_original_is_answered_and_other_words_share_the_answer(service):
    stale = Experiment(sentence="The big dog sees the happy cat.", original="quick")
    job = service.ask("rewriting", stale, "me")
    assert job.wait(PATIENCE) and job.error is None
    assert (job.result.words[job.result.chosen], job.result.reason) == ("big", "replaced")
    question = QUESTIONS["rewriting"]
    others = [replace(stale, original="happy", answer="glad"), replace(stale, occurrence=2, picked=1, colon=1)]
    assert {question.matters(other) for other in others} == {question.matters(stale)}
    assert question.matters(replace(stale, instruction="Repeat the sentence")) != question.matters(stale)
    assert decode(encode(job.result, question.kind), question.kind) == job.result


def test_nothing_is_recorded_for_it(service, monkeypatch):
    monkeypatch.setattr("core.runs.record_both", None)
    job = service.ask("rewriting", Experiment(sentence="The old bird sings."), "me")
    assert job.wait(PATIENCE) and job.error is None and job.result.reason == "replaced"


def test_while_instruct_writes_the_first_content_word_is_there(service, monkeypatch):
    writing, go_on = threading.Event(), threading.Event()

    def held(*args) -> tuple[str, bool]:
        writing.set()
        assert go_on.wait(PATIENCE)
        return "The young bird sings.", True

    monkeypatch.setattr("core.generation.line", held)
    job = service.ask("rewriting", Experiment(sentence="The bird sings an old song."), "me")
    assert writing.wait(PATIENCE)
    first = job.partial.result
    go_on.set()
    assert (first.words[first.chosen], first.written, first.reason) == ("bird", "", "first")
    assert job.wait(PATIENCE) and job.result.written == "The young bird sings."
