"""`python -m tests.bench.replay_run keep|show FOLDER`: one process of two that share a store.

keep: answer what every page asks about an experiment. show: print a JSON of each page's name and the seconds of its
script's first run in this process, its service as new; fails if anything had to be computed.
"""

from __future__ import annotations

import json
import os
import sys
import time

from streamlit.testing.v1 import AppTest

from cache.presets import Preset
from core.experiment import Experiment, to_query
from core.models.pairs import default_pair
from pages.shared.service import service
from tests.gallery import FRAME, PAGES, asked_by_a_visit

HEAVY = {"torch", "transformers", "transformer_lens", "scipy"}


def of_the_day_before() -> Experiment:
    return Experiment(pair=default_pair(), sentence="The tired queen walks over the hill.", original="tired")


def keep() -> None:
    asked_by_a_visit(Preset("yesterday", of_the_day_before()), service())
    service().answers.flush()


def show() -> None:
    first_run(PAGES[0])  # imports what a server has imported before its first visit
    seconds = {page: first_run(page) for page in PAGES}
    assert not HEAVY & set(sys.modules), "something heavy was imported"
    print(json.dumps(seconds))


def first_run(page: str) -> float:
    test = AppTest.from_file(str(FRAME), default_timeout=60)
    for name, value in to_query(of_the_day_before()).items():
        test.query_params[name] = value
    if page:
        # A run shows the first page, whatever was asked for; the service is forgotten after it.
        test.run().switch_page(f"{page}/page.py")
    service.cache_clear()
    service()
    start = time.perf_counter()
    test.run()
    took = time.perf_counter() - start
    assert not test.exception and any("recorded before" in text.value for text in test.markdown)
    return took


if __name__ == "__main__":
    os.environ |= {"REPHRASE_CACHE": sys.argv[2], "REPHRASE_STORE_MB": "512", "REPHRASE_SHIPPED": "1"}
    {"keep": keep, "show": show}[sys.argv[1]]()
