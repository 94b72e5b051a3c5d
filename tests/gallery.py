"""`python -m tests.gallery [FOLDER]`: make cache/gallery.sqlite, the answers that are shipped with the project.

Every page is opened on every preset of each embedded pair, as a viewer opens it, and what the pages ask is what is
kept: there is no second list of it. Attention, most of it, is rounded to `STEP`, which no figure shows. The default
experiments are whole; of the other presets what comes last in `RANKS` is given up first, for all of them alike, until
the file is within `LIMIT`. FOLDER keeps what was answered: a making that was broken off goes on there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from streamlit.testing.v1 import AppTest

from cache.answers import GALLERY, Asked
from cache.bundles import ENDLESS, write_bundle
from cache.encoding import decode, encode
from cache.identity import fact_of
from cache.job import Job
from cache.presets import PAIRS, Preset, presets
from cache.questions.catalogue import QUESTIONS
from cache.service import Service
from cache.store import Store
from core.experiment import to_query
from core.models.pairs import lacking, registry
from pages.shared.service import service

FRAME = Path(__file__).parents[1] / "pages/frame.py"
PAGES = ("", "attribution", "patching", "attention", "head", "origin", "post")
LIMIT = 2 * 10**6  # bytes of the whole file
PATIENCE = 600
# Large patterns say least for their size.
RANKS = ("overview", "continuation", "attribution", "depth", "estimate", "sweep", "early_late", "head_scores", "head")
RANKS += ("head_patches", "pattern", "attention", "layer_patterns", "patterns")
ROUNDED = ("attention", "pattern", "layer_patterns", "patterns")
STEP = 2.0**-20  # of their numbers: 0.000001
Answer = TypeVar("Answer")


def asked_by_a_visit(preset: Preset, on: Service) -> dict[tuple, tuple[Asked, Job]]:
    """Everything that the pages ask of a service as they open on a preset, each with its finished job."""
    asked: dict[tuple, tuple[Asked, Job]] = {}
    ask = on.ask

    def noted(question, experiment, owner, **options) -> Job:
        job, named = ask(question, experiment, owner, **options), on.asked(question, experiment, options)
        asked[named.name] = named, job
        return job

    on.ask = noted  # type: ignore[method-assign]
    # Without a server there are no sessions to be asked whether they still look.
    on.worker._alive = lambda owner: True
    try:
        for page in PAGES:
            _open(page, preset, lambda: [job for _, job in asked.values()])
    finally:
        del on.ask  # type: ignore[method-assign]
    return asked


def _open(page: str, preset: Preset, jobs: Callable[[], list[Job]]) -> None:
    """Show a page until it asks nothing more and everything is answered."""
    test = AppTest.from_file(str(FRAME), default_timeout=PATIENCE)
    for name, value in to_query(preset.experiment).items():
        test.query_params[name] = value
    test.run()
    if page:
        test.switch_page(f"{page}/page.py")
    before = -1
    while before != len(jobs()) or not all(job.finished for job in jobs()):
        before = len(jobs())
        test.run()
        assert not test.exception, test.exception
        for job in jobs():
            assert job.wait(PATIENCE) and job.state == "done", (preset.title, job.key, job.error)


def in_order(visits: list[dict[tuple, tuple[Asked, Job]]]) -> Iterator[Asked]:
    """Everything that was asked, what is given up last first; visits: of the default experiments first."""
    defaults, others = visits[: len(PAIRS)], visits[len(PAIRS) :]
    questions = {asked.question for visit in visits for asked, _ in visit.values()}
    assert questions <= {*RANKS}, f"{questions - {*RANKS}} stand nowhere in RANKS"
    for visit in defaults:
        yield from (asked for asked, _ in visit.values())
    for rank in RANKS:
        yield from (asked for visit in others for asked, _ in visit.values() if asked.question == rank)


def within(limit: int, keys: list[str], write: Callable[[list[str]], int]) -> int:
    """Write as many keys, from the first, as make a file of at most `limit` bytes; how many these are."""
    least, most = 0, len(keys)
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if write(keys[:middle]) <= limit else (least, middle - 1)
    write(keys[:least])
    return least


def rounded(answer: Answer) -> Answer:
    """An answer of `ROUNDED` with its arrays in whole steps, whose last bits are zero and take no room."""
    values = {field.name: getattr(answer, field.name) for field in fields(answer)}
    arrays = {name: x for name, x in values.items() if isinstance(x, np.ndarray)}
    # With 0 added there is no −0.
    steps = {name: (np.rint(x / np.float64(STEP)) * STEP + 0).astype(x.dtype) for name, x in arrays.items()}
    return replace(answer, **steps)


def _rounded_ones(asked: Mapping[str, Asked], places: tuple[Store, ...], path: Path) -> Store:
    """A store of what is kept rounded."""
    store = Store(path, ENDLESS)
    for key, each in asked.items():
        if each.question in ROUNDED:
            kind = QUESTIONS[each.question].kind
            found = next(stored for place in places if (stored := place.get(key)))
            store.put(key, encode(rounded(decode(found.value, kind)), kind), label=found.label)
    return store


def main() -> None:
    for pair in PAIRS:
        if why := lacking(registry()[pair]):
            sys.exit(f"error: {why}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = sys.argv[1] if len(sys.argv) > 1 else temporary
        os.environ |= {"REPHRASE_CACHE": folder, "REPHRASE_STORE_MB": "512", "REPHRASE_PAIR": PAIRS[0]}
        GALLERY.unlink(missing_ok=True)
        _make(service(), Path(temporary) / "rounded.sqlite")


def _make(on: Service, rounding: Path) -> None:
    every = [presets(pair) for pair in PAIRS]
    in_turn = [preset for same in zip(*every) for preset in same]
    visits = []
    for preset in in_turn:
        visits.append(asked_by_a_visit(preset, on))
        print(f"{preset.experiment.pair}: {preset.title}: {len(visits[-1])} answers")
    on.answers.flush()
    asked = {key: each for each in in_order(visits) if (key := on.answers.key_of(each))}
    specs = [registry()[pair] for pair in PAIRS]
    names = [fact_of(spec, what) for spec in specs for what in ("identity", "dtype")]
    facts = {name: value for name in names if (value := on.answers.fact(name))}
    places = (_rounded_ones(asked, on.answers.places, rounding), *on.answers.places)

    def write(keys: list[str]) -> int:
        assert write_bundle(places, keys, facts, GALLERY) == len(keys)
        return GALLERY.stat().st_size

    kept = within(LIMIT, list(asked), write)
    print(f"{kept} of {len(asked)} answers in {GALLERY.stat().st_size / 1e6:.2f} MB; left out:")
    for each in list(asked.values())[kept:]:
        print(f"  {each.label}")


if __name__ == "__main__":
    main()
