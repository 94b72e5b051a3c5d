"""A server answers under its own names alone, where it was told any; its probes under whatever they call it."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import config

from pages.shared.outside import PROBES, Named

PATHS = ("/", "/static/js/index.js", "/media/x.csv", "/x/metrics")


def asked(host: str, path: str) -> int:
    routes = [Route(each, lambda request: PlainTextResponse("here")) for each in (*PATHS, *PROBES)]
    return TestClient(Named(Starlette(routes=routes))).get(path, headers={"Host": host}).status_code


@pytest.fixture
def named(monkeypatch):
    own = config.get_option
    hosts = ["explorer.example.org"]
    monkeypatch.setattr(config, "get_option", lambda name: hosts if name == "server.allowedHosts" else own(name))


@pytest.mark.parametrize("path", PATHS)
def test_a_request_for_another_host_is_refused(named, path):
    assert asked("explorer.example.org:8501", path) == 200
    for host in (
        "attacker.example",
        "attacker.example:8501",
        "127.0.0.1:8501",
        "explorer.example.org.x.example",
    ):
        assert asked(host, path) == 421


@pytest.mark.parametrize("path", PROBES)
def test_probes_are_answered_by_whatever_name(named, path):
    assert asked("app:8501", path) == asked("127.0.0.1", path) == 200


def test_where_no_host_is_named_every_one_is_answered():
    assert asked("attacker.example", "/") == 200
