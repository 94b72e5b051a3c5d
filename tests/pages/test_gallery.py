"""The shipped gallery: what a first visit shows, of the weights that are shipped, with the numbers that they give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cache.answers import GALLERY, Answers, Asked
from cache.identity import Identities, fact_of
from cache.labels import read_label
from cache.presets import PAIRS, Preset, presets
from cache.service import Service
from core.experiment import Experiment
from core.models.pairs import lacking, registry
from core.results import MODELS
from core.settings import Settings
from pages.shared.service import service
from tests.gallery import FRAME, LIMIT, ROUNDED, STEP, asked_by_a_visit, rounded

PATIENCE = 120
INSTALLED = [pair for pair in PAIRS if not lacking(registry()[pair])]
# Kept of every preset, on a pair of whatever size; more where there is room.
ALWAYS = (
    ("overview", {}),
    *(("continuation", {"model": model}) for model in MODELS),
    ("attribution", {"projection": "own"}),
    ("estimate", {"site": "z", "direction": "instruct_to_base"}),
    ("sweep", {"site": "z", "direction": "instruct_to_base", "positions": "all"}),
)
PRESETS = [preset for pair in PAIRS for preset in presets(pair)]


def name(preset: Preset) -> str:
    return f"{preset.experiment.pair}: {preset.title}"


@pytest.fixture
def replayed(monkeypatch):
    """The app's service with the gallery alone: what is not there is not computed."""
    monkeypatch.setenv("REPHRASE_GALLERY", str(GALLERY))
    service.cache_clear()

    def refused(question, experiment, options, ctx):
        raise AssertionError(f"{question} {options} is not in the gallery")

    on = service()
    monkeypatch.setattr(on, "_run", refused)
    on.worker._alive = lambda owner: True
    yield on
    assert on.worker.stop()
    service.cache_clear()


@pytest.fixture(scope="module")
def gallery() -> Answers:
    settings = Settings(store_mb=0, gallery=GALLERY)
    return Answers.of(settings)


@pytest.fixture(scope="module")
def computing():
    """A service that keeps nothing and finds nothing."""
    on = Service(Settings())
    yield on
    assert on.worker.stop()


@pytest.mark.parametrize("pair", PAIRS)
def test_every_page_of_the_default_experiment_is_there_whether_or_not_its_weights_are(replayed, pair):
    asked = asked_by_a_visit(presets(pair)[0], replayed)
    assert {question for question, *_ in asked} >= {"overview", "attention", "sweep", "head", "pattern", "early_late"}


def test_what_was_computed_before_claims_no_time(replayed):
    test = AppTest.from_file(str(FRAME), default_timeout=PATIENCE)
    test.query_params["pair"] = "tiny"
    test.run().switch_page("patching/page.py").run()
    shown = "\n".join(text.value for text in test.markdown)
    assert "all 32 exact from before" in shown and "recorded before" in shown


@pytest.mark.parametrize("preset", PRESETS, ids=name)
def test_the_first_figures_of_every_preset_are_there(replayed, preset):
    for question, options in ALWAYS:
        assert replayed.ask(question, preset.experiment, "me", **options).finished, question


@pytest.mark.parametrize("preset", PRESETS, ids=name)
def test_all_that_the_pages_ask_of_a_default_experiment_is_there_of_its_other_presets_too(gallery, preset):
    pair, labels = preset.experiment.pair, map(read_label, gallery.places[0].labels().values())
    of_pair = [label for label in labels if label and label.experiment.pair == pair]
    mine, firsts = (
        Counter(label.question for label in of_pair if label.is_about(each.experiment))
        for each in (preset, presets(pair)[0])
    )
    assert mine.keys() == firsts.keys() >= {"attention", "head", "pattern", "early_late", "depth"}
    assert mine["sweep"] == firsts["sweep"] == 2


def test_it_is_small_and_says_nothing_of_the_machine_that_made_it(gallery):
    assert GALLERY.stat().st_size <= LIMIT
    assert len(PRESETS) == 18 and len(gallery.places[0].facts()) == 2 * len(PAIRS)
    assert not {name for name in gallery.places[0].facts() if "/" in name}


@pytest.mark.parametrize("pair", INSTALLED)
def test_it_is_of_the_weights_that_are_here(gallery, pair):
    spec = registry()[pair]
    assert gallery.places[0].fact(fact_of(spec, "identity")) == Identities(Remembered()).known(spec)


class Remembered(dict):
    """Nothing but what this test finds out itself."""

    fact = dict.get
    remember = dict.__setitem__


def test_changed_weights_find_nothing_in_it(gallery, monkeypatch):
    asked = Asked("overview", Experiment(), {}, registry()["tiny"])
    assert gallery.find(asked) is not None
    monkeypatch.setattr(gallery._identities, "known", lambda spec: "of other weights")
    assert gallery.find(asked) is None


@pytest.mark.parametrize("preset", [*presets("tiny"), *(presets(pair)[0] for pair in INSTALLED[:-1])], ids=name)
def test_its_numbers_are_those_that_are_computed_here(gallery, computing, preset):
    """All of the tiny pair's; of the large one the default experiment's that take no sweep."""
    for question, options in ALWAYS:
        if question == "sweep" and preset.experiment.pair != "tiny":
            continue
        kept = gallery.find(computing.asked(question, preset.experiment, options))
        job = computing.ask(question, preset.experiment, "me", **options)
        assert job.wait(PATIENCE) and job.state == "done"
        assert_same(kept, job.result, question)


def test_the_default_experiments_numbers_on_every_page_are_those_that_are_computed_here(replayed, computing):
    preset = presets("tiny")[0]
    for asked, job in asked_by_a_visit(preset, replayed).values():
        fresh = computing.ask(asked.question, preset.experiment, "me", **asked.options)
        assert fresh.wait(PATIENCE) and fresh.state == "done"
        assert_same(job.result, fresh.result, asked.question)


def assert_same(kept, fresh, where: str) -> None:
    """Equal but for rounding, which another processor does otherwise, and for how long it took."""
    assert type(kept) is type(fresh), where
    if is_dataclass(kept):
        for field in fields(kept):
            if field.name not in ("seconds", "device"):
                assert_same(getattr(kept, field.name), getattr(fresh, field.name), f"{where}.{field.name}")
    elif isinstance(kept, np.ndarray):
        np.testing.assert_allclose(kept, fresh, atol=1e-4, err_msg=where)
    elif isinstance(kept, Mapping):
        assert kept.keys() == fresh.keys(), where
        for key in kept:
            assert_same(kept[key], fresh[key], f"{where}[{key!r}]")
    elif isinstance(kept, tuple):
        assert len(kept) == len(fresh), where
        for n, (one, other) in enumerate(zip(kept, fresh)):
            assert_same(one, other, f"{where}[{n}]")
    elif isinstance(kept, float):
        assert kept == pytest.approx(fresh, abs=1e-4, nan_ok=True), where
    else:
        assert kept == fresh, where


def test_what_is_rounded_is_rounded_by_less_than_any_figure_shows():
    from core.attention_results import Patterns

    values = np.random.default_rng(0).normal(0, 3, 1000).astype("float32")
    found = rounded(Patterns((), values, ("a",)))
    assert np.abs(found.pattern - values).max() <= STEP / 2 < 1e-5 and found.pattern.dtype == values.dtype
    assert (found.pattern / STEP % 1 == 0).all() and "sweep" not in ROUNDED


@pytest.mark.parametrize("changed", [{"tokens": ("a",)}, {"pattern": np.array([1.01])}, {"heads": ((0, 2),)}])
def test_a_difference_is_seen(changed):
    from core.attention_results import Patterns

    patterns = Patterns(((0, 1),), np.array([1.0]), ("b",))
    assert_same(patterns, replace(patterns, pattern=np.array([1.00001])), "patterns")
    with pytest.raises(AssertionError):
        assert_same(patterns, replace(patterns, **changed), "patterns")
