"""The thread that writes: everything is written, of one key only the latest, and nothing ends it."""

from __future__ import annotations

import threading

from cache.writer import Writer

PATIENCE = 30


def test_what_waits_under_one_key_is_written_once_with_what_came_last():
    writer, written, gate = Writer(), [], threading.Event()
    writer.put("first", gate.wait)
    for n in range(3):
        writer.put("filling", lambda n=n: written.append(n))
    writer.put("other", lambda: written.append("other"))
    assert not writer.flush(0)
    gate.set()
    assert writer.flush(PATIENCE) and written == [2, "other"]


def test_a_failure_is_logged_and_the_next_is_written(caplog):
    writer, written = Writer(), []
    writer.put("broken", lambda: 1 / 0)
    writer.put("whole", lambda: written.append("whole"))
    assert writer.flush(PATIENCE) and written == ["whole"]
    assert "ZeroDivisionError" in caplog.text


def test_nothing_to_write_needs_no_thread():
    before = threading.active_count()
    assert Writer().flush(0) and threading.active_count() == before
