"""What runs behind every page: the scripts of several modules as one component, each with its own data and styles."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from importlib import import_module
from types import SimpleNamespace

import pytest
from streamlit.proto.NewSession_pb2 import NewSession
from streamlit.runtime import app_session

from cache import log_lines
from pages.shared import behind, first_run, outside, text_fields, theme, uncut, unsent
from tests.pages.app import opened, settled

SECTIONS = {
    "theme": "custom_theme", "theme.sidebar": "custom_theme.sidebar", "theme.light": "custom_theme.light",
    "theme.dark": "custom_theme.dark", "theme.light.sidebar": "custom_theme.light.sidebar",
    "theme.dark.sidebar": "custom_theme.dark.sidebar",
}  # fmt: skip


def behind_of(test) -> list:
    return [each for each in test.main if each.type == "bidi_component" and "behind" in each.proto.id]


def test_no_two_scripts_style_the_same_element():
    sheets = [set(re.findall(r"^([^\s@{][^{]*?) \{", css, re.MULTILINE)) for _, css in behind._PARTS.values()]
    named = [{each.strip() for rule in sheet for each in rule.split(",")} for sheet in sheets]
    assert sum(map(len, named)) == len(set().union(*named)) > 5


def test_a_script_without_an_export_is_refused():
    assert behind._script("const A = 1;\nexport default function () {}") == (
        "(() => {const A = 1;\nreturn function () {}})()"
    )
    with pytest.raises(AssertionError):
        behind._script("const A = 1;")


def test_every_script_runs_on_every_page_but_the_first_steps_on_the_stage():
    told = [
        json.loads(behind_of(settled(opened(pair="tiny", **stage)))[0].proto.json)[0] for stage in ({}, {"stage": "1"})
    ]
    assert told[0].keys() == set(behind._PARTS) and told[1].keys() == set(behind._PARTS) - {"first_visit"}


@pytest.mark.parametrize("section, place", SECTIONS.items())
def test_a_theme_that_is_read_once_is_the_one_that_streamlit_reads(section, place):
    for _ in range(2):
        own, session = NewSession(), NewSession()
        theme._populate(reduce(getattr, place.split("."), own), section)
        theme._merge(reduce(getattr, place.split("."), session), section)
        assert session == own
        assert session.HasField("custom_theme") == own.HasField("custom_theme")


@pytest.fixture
def app(monkeypatch):
    """The server's own script, whose start does nothing but what is looked at."""
    monkeypatch.delitem(sys.modules, "app", raising=False)
    monkeypatch.setattr(log_lines, "begin", lambda *settings: None)
    started = (
        (uncut, "runs"),
        (unsent, "kept"),
        (text_fields, "look_up"),
        (outside, "unasked"),
        (first_run, "prepare"),
    )
    for module, does in started:
        monkeypatch.setattr(module, does, lambda: None)
    app = import_module("app")
    monkeypatch.setattr(app, "end_on_terminate", lambda: None)
    monkeypatch.setattr(app, "service", lambda: SimpleNamespace(warm=lambda: None, close=lambda seconds: True))
    return app


def test_a_server_reads_its_theme_for_the_first_run_alone(app, monkeypatch):
    asked = Counter()

    def read(message, section="theme"):
        asked[section] += 1
        own(message, section)

    own = theme._populate
    monkeypatch.setattr(theme, "_populate", read)
    monkeypatch.setattr(app_session, "_populate_theme_msg", read)
    theme._made.cache_clear()

    async def serve() -> None:
        async with app.lifespan(app.app):
            for _ in range(3):
                for section, place in SECTIONS.items():
                    app_session._populate_theme_msg(reduce(getattr, place.split("."), NewSession()), section)

    # In a thread of its own: a browser's tests before it in this process leave theirs with a loop that runs.
    with ThreadPoolExecutor(1) as own_thread:
        own_thread.submit(asyncio.run, serve()).result()
    assert asked == dict.fromkeys(SECTIONS, 1)
