"""The app run without a browser has one service a process: each test gets one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pages.shared.service import service


@pytest.fixture
def forget() -> Iterator[Callable[[], None]]:
    """Ends the service, so that the next page makes one of the settings as they are then; done at the end too."""

    def end() -> None:
        if service.cache_info().currsize:
            service().worker.stop()
        service.cache_clear()

    end()
    yield end
    end()
