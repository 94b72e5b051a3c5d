"""The app run without a browser has one service a process: each test gets one of its own, on weights read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from streamlit.components.v2 import manifest_scanner

from core.models import loading
from core.models.loading import LoadedPair
from core.models.pairs import EMBEDDED, PairSpec, registry
from pages.shared.service import service


@pytest.fixture(scope="package", autouse=True)
def _tiny_pair_is_read_once() -> Iterator[None]:
    """What a service loads of the embedded pair, its weights, is the same for all; what it runs on them is its own."""
    read, once = loading.load_pair, cache(loading.load_pair)

    def load(spec: PairSpec, dtype: str = "", device: str = "auto", *more, in_turns=None, **options) -> LoadedPair:
        if spec != registry()[EMBEDDED] or in_turns:
            return read(spec, dtype, device, *more, in_turns=in_turns, **options)
        return once(spec, dtype, device)

    loading.load_pair = load
    yield
    loading.load_pair = read


@pytest.fixture(scope="package", autouse=True)
def _installed_components_are_looked_for_once() -> Iterator[None]:
    """For each app that is run without a browser Streamlit reads every installed package's description anew, which
    takes longer than to draw a page."""
    scan = manifest_scanner.scan_component_manifests
    manifest_scanner.scan_component_manifests = cache(scan)
    yield
    manifest_scanner.scan_component_manifests = scan


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
