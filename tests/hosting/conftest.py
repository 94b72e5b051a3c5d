"""nginx as it stands before a hosted app; where there is none, what needs it is skipped, and says so."""

from __future__ import annotations

from itertools import count

import pytest

from tests.browser.server import free_port
from tests.hosting.nginx import REMEDY, Proxy, find


@pytest.fixture(scope="session")
def proxied(tmp_path_factory):
    """app's port, options → a proxy before it that runs; all end with the session."""
    if not find():
        pytest.skip(f"nginx is missing: {REMEDY}")
    proxies, numbers = [], count()

    def make(app: int, tls: bool = False, **values: str) -> Proxy:
        proxies.append(Proxy(tmp_path_factory.mktemp(f"nginx{next(numbers)}"), free_port(), app, tls, values))
        proxies[-1].start()
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.stop()
