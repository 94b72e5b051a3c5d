"""Imports give way to a busy page, and only so long."""

import importlib
import sys
import threading
import time

import pytest

from cache import courtesy


@pytest.fixture
def module(tmp_path, monkeypatch):
    """name → a module's file that can be imported once."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str) -> str:
        (tmp_path / f"{name}.py").write_text("")
        importlib.invalidate_caches()
        return name

    return make


def test_an_import_waits_until_no_page_is_busy(module):
    name, done = module("waits_for_a_page"), threading.Event()

    def load() -> None:
        with courtesy.giving_way():
            importlib.import_module(name)
        done.set()

    with courtesy.busy():
        thread = threading.Thread(target=load)
        thread.start()
        assert not done.wait(0.2)
    assert done.wait(5)
    thread.join()


def test_other_threads_import_as_ever(module):
    with courtesy.busy(), courtesy.giving_way():
        thread = threading.Thread(target=importlib.import_module, args=(module("of_another_thread"),))
        start = time.monotonic()
        thread.start()
        thread.join()
        assert time.monotonic() - start < courtesy.PATIENCE


def test_all_imports_together_wait_no_longer_than_their_patience(module, monkeypatch):
    monkeypatch.setattr(courtesy, "PATIENCE", 0.1)
    names = [module(f"one_of_many_{n}") for n in range(20)]
    start = time.monotonic()
    with courtesy.busy(), courtesy.giving_way():
        for name in names:
            importlib.import_module(name)
    assert 0.1 <= time.monotonic() - start < 1.5


def test_nothing_is_left_in_the_import_system():
    before = list(sys.meta_path)
    with pytest.raises(RuntimeError), courtesy.giving_way():
        raise RuntimeError
    assert sys.meta_path == before
