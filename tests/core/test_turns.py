"""Two models that take turns on a device give what they give side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.attention import attend
from core.attribution import attribute
from core.experiment import Experiment, InputError
from core.generation import continuation, rewrite
from core.head.ov_circuit import ov_circuit
from core.head.scores import score_heads
from core.logit_difference import summarize
from core.models import room, turns
from core.models.loading import find_checkpoints, load_pair
from core.models.pairs import registry
from core.models.room import bytes_needed
from core.patching.budget import Budget
from core.patching.estimate import estimate
from core.patching.plan import DIRECTIONS
from core.patching.sweeps import sweep
from core.recording import record
from core.results import MODELS
from core.runs import run
from tests.random_models import FAMILIES

TINY = registry()["tiny"]
NEED = {in_turns: bytes_needed(find_checkpoints(TINY), "float32", in_turns=in_turns) for in_turns in (True, False)}
SMALL = Budget(10**9, 400)


def tables(pair) -> dict[str, np.ndarray]:
    """Something of every analysis that runs a model or reads its weights."""
    runs = run(Experiment(), pair)
    recordings, prompt = runs.recordings, runs.prompt
    summary, scores = summarize(recordings, prompt), score_heads((pair.base, pair.instruct))
    found = {"logit_diff": summary.logit_diff, "probability": summary.prob_answer, "scores": scores.induction}
    for projection in ("own", "base", "instruct"):
        found[f"attribution {projection}"] = attribute(recordings, prompt, projection).head
        found[f"attention {projection}"] = attend(recordings, prompt, projection).written
    found["rewriting"] = np.array(rewrite(Experiment(), pair).written.encode())
    for ov_input in ("recorded", "effective"):
        found[f"OV {ov_input}"] = ov_circuit(recordings, prompt, 2, 6, 3, ov_input).difference
    for direction in DIRECTIONS:
        found[f"estimate {direction}"] = estimate(recordings, prompt, ("z",), direction)["z"].effect
        for site in ("z", "value_only"):
            found[f"{site} {direction}"] = sweep(recordings, prompt, site, direction, budget=SMALL).logit_diff
    return found


@pytest.fixture(scope="module")
def side_by_side():
    pair = load_pair(TINY, device="cpu")
    return tables(pair), list(continuation(pair.base, run(Experiment(), pair).prompt, 6))


@pytest.fixture
def in_turns():
    pair = load_pair(TINY, device="cpu", limit=(NEED[True] + NEED[False]) // 2)
    assert pair.in_turns and pair.manifest["models_take_turns"]
    return pair


@pytest.fixture
def poisoned(monkeypatch):
    """Weights of the model whose turn it is not are not numbers: who forgets to take a turn shows it."""
    monkeypatch.setattr(turns, "_at_home", lambda home: torch.full_like(home, torch.nan))
    return load_pair(TINY, device="cpu", limit=(NEED[True] + NEED[False]) // 2)


@pytest.mark.parametrize("how", ["in_turns", "poisoned"])
def test_in_turns_every_table_is_the_same_byte_for_byte(side_by_side, request, how):
    expected, found = side_by_side[0], tables(request.getfixturevalue(how))
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_of_every_family_takes_part(pair_of, booted, monkeypatch, family):
    pair = pair_of(family, 4)
    bridges = booted(family, "base", 4), booted(family, "instruct", 4)
    monkeypatch.setattr(turns, "_at_home", lambda home: torch.full_like(home, torch.nan))
    turns.Turns(bridges, "cpu")
    recordings = tuple(record(bridge, pair.prompt.ids) for bridge in bridges)
    for found, expected in zip(recordings, pair.recordings):
        assert torch.equal(found.next_token_logits, expected.next_token_logits)
    np.testing.assert_array_equal(
        attribute(recordings, pair.prompt, "base").head, attribute(pair.recordings, pair.prompt, "base").head
    )
    np.testing.assert_array_equal(
        sweep(recordings, pair.prompt).logit_diff, sweep(pair.recordings, pair.prompt).logit_diff
    )


def test_another_models_turn_between_two_chunks_or_tokens_changes_nothing(side_by_side, poisoned):
    expected, text = side_by_side
    runs = run(Experiment(), poisoned)

    def other(*_) -> None:
        record(poisoned.instruct, (1, 30, 45))

    found = sweep(runs.recordings, runs.prompt, budget=SMALL, progress=other)
    np.testing.assert_array_equal(found.logit_diff, expected["z instruct_to_base"])
    written = []
    for so_far in continuation(poisoned.base, runs.prompt, 6):
        written.append(so_far)
        other()
    assert written == text


def test_only_one_model_is_on_the_device_at_a_time(monkeypatch):
    """The device is stood for by copies: a weight that is elsewhere than it was loaded to is on it."""
    monkeypatch.setattr(turns, "_there", lambda home, device: home.clone())
    pair = load_pair(TINY, device="cpu", limit=(NEED[True] + NEED[False]) // 2)
    weights = {name: list(getattr(pair, name).parameters()) for name in MODELS}
    homes = {name: [weight.data_ptr() for weight in own] for name, own in weights.items()}
    for name in (*MODELS, *MODELS):
        record(getattr(pair, name), (1, 30, 45))
        for other in MODELS:
            at_home = [weight.data_ptr() == home for weight, home in zip(weights[other], homes[other])]
            assert at_home == [other != name] * len(at_home)


def test_what_fits_side_by_side_takes_no_turns_and_what_does_not_fit_alone_is_refused():
    assert not load_pair(TINY, device="cpu", limit=NEED[False]).in_turns
    with pytest.raises(InputError, match="GB with one model at a time; cpu has .* left of REPHRASE_MEMORY_GB"):
        load_pair(TINY, device="cpu", limit=NEED[True] - 1)


def test_models_without_room_for_both_in_the_cpus_memory_are_refused(monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda device: NEED[False])
    with pytest.raises(InputError, match="the CPU's memory has"):
        load_pair(TINY, device="cpu", limit=NEED[True])


def test_models_without_room_for_both_are_refused_before_they_are_looked_for(monkeypatch):
    large = registry()["llama-3.1-8b"]
    both, one = room.bytes_known(large, "bfloat16"), room.bytes_known(large, "bfloat16", in_turns=True)
    monkeypatch.setattr(room, "free_bytes", lambda device: both)
    room.check_known(large, "bfloat16", "cpu", limit=both)
    for limit, message in ((one, "the CPU's memory has"), (one - 1, "left of REPHRASE_MEMORY_GB")):
        with pytest.raises(InputError, match=message):
            room.check_known(large, "bfloat16", "cpu", limit)
    monkeypatch.setattr(room, "free_bytes", lambda device: 2 * both)
    room.check_known(large, "bfloat16", "cpu", limit=one)


def test_a_turn_that_the_device_has_no_room_for_leaves_both_models_at_home(in_turns, monkeypatch, side_by_side):
    def full(home, device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    turns.take_turn(in_turns.base)
    with monkeypatch.context() as short:
        short.setattr(turns, "_there", full)
        with pytest.raises(torch.OutOfMemoryError):
            turns.take_turn(in_turns.instruct)
    runs = run(Experiment(), in_turns)
    np.testing.assert_array_equal(summarize(runs.recordings, runs.prompt).logit_diff, side_by_side[0]["logit_diff"])
