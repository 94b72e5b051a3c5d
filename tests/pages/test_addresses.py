"""Addresses that are known under two names."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages.shared import addresses


@pytest.mark.parametrize("base", ["", "demo"])
def test_explore_by_its_name_is_the_first_page_with_its_parameters(monkeypatch, base):
    monkeypatch.setattr(addresses.st, "get_option", lambda name: base)
    before = f"/{base}" if base else ""
    client = TestClient(Starlette(routes=[addresses.explore()]), follow_redirects=False)
    for query in ("", "?sentence=The+quick+fox%2C&head=L0H1"):
        answer = client.get(f"{before}/explore{query}")
        assert answer.is_redirect
        assert str(answer.next_request.url.path) == f"{before}/"
        assert str(answer.next_request.url.query, "ascii") == query.lstrip("?")
