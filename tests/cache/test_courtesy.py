"""The import of torch waits for a quiet moment, and only so long."""

import threading
import time

import pytest

from cache import courtesy


@pytest.fixture
def waiting():
    """Start a thread that waits for quiet; the event says when it has ended."""
    threads = []

    def start() -> threading.Event:
        done = threading.Event()
        threads.append(threading.Thread(target=lambda: (courtesy.wait_for_quiet(), done.set())))
        threads[-1].start()
        return done

    yield start
    for thread in threads:
        thread.join()


def test_it_waits_while_a_page_is_busy_and_a_little_longer(waiting, monkeypatch):
    monkeypatch.setattr(courtesy, "PATIENCE", 30.0)
    with courtesy.busy():
        done = waiting()
        assert not done.wait(2 * courtesy.QUIET)
    left = time.monotonic()
    assert done.wait(60)
    assert time.monotonic() - left >= 0.9 * courtesy.QUIET


def test_another_page_begins_the_quiet_anew(monkeypatch):
    monkeypatch.setattr(courtesy, "PATIENCE", 30.0)
    ended = []
    with courtesy.busy():
        thread = threading.Thread(target=lambda: (courtesy.wait_for_quiet(), ended.append(time.monotonic())))
        thread.start()
        busy_until = [time.monotonic()]
    for _ in range(10):
        time.sleep(0.2 * courtesy.QUIET)
        with courtesy.busy():
            busy_until.append(time.monotonic())
    thread.join()
    assert all(ended[0] - moment >= 0.9 * courtesy.QUIET for moment in busy_until if moment < ended[0])
    assert ended[0] > busy_until[0]


def test_who_was_sent_the_first_page_is_waited_for_until_drawn_for(waiting, monkeypatch):
    for name, seconds in {"PATIENCE": 30.0, "COMING": 30.0, "QUIET": 0.0}.items():
        monkeypatch.setattr(courtesy, name, seconds)
    courtesy.coming()
    done = waiting()
    with courtesy.busy():
        pass  # of the page's files
    assert not done.wait(0.2)
    with courtesy.busy(drawing=True):
        pass
    assert done.wait(20)


def test_after_its_patience_a_busy_page_is_waited_for_no_longer(waiting, monkeypatch):
    monkeypatch.setattr(courtesy, "PATIENCE", 0.2)
    with courtesy.busy():
        assert waiting().wait(60)


def test_a_server_that_has_been_quiet_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(courtesy, "QUIET", 0.0)
    monkeypatch.setattr(courtesy, "PATIENCE", 30.0)
    start = time.monotonic()
    courtesy.wait_for_quiet()
    assert time.monotonic() - start < 10
