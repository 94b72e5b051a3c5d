"""What is told of the process while torch sleeps."""

import sys

from cache.inspection import inspect, versions
from cache.service import Service
from core.settings import Settings


def test_while_torch_sleeps_no_device_is_named_and_nobody_wakes_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "core.models.loading", raising=False)
    service = Service(Settings())
    try:
        found = inspect(service)
    finally:
        service.worker.stop()
    assert (found.device, found.free_bytes, found.budget_bytes, found.residents) == ("", None, None, ())
    assert found.no_device == ""
    assert found.used_bytes > 0
    assert "core.models.loading" not in sys.modules


def test_a_device_that_is_not_there_is_told_and_hides_nothing_else():
    import core.models.loading  # noqa: F401

    service = Service(Settings(device="cuda:77"))
    try:
        found = inspect(service)
    finally:
        service.worker.stop()
    assert (found.device, found.free_bytes) == ("", None) and found.used_bytes > 0
    assert "no device 'cuda:77'" in found.no_device and "REPHRASE_DEVICE" in found.no_device


def test_versions_name_what_the_numbers_were_made_with():
    found = versions()
    assert {"python", "torch", "transformer_lens", "streamlit"} <= found.keys()
    assert all(found.values())
