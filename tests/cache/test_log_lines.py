"""The server's log: what it says of jobs, and what it does not say of who asked."""

from __future__ import annotations

import json
import logging

import pytest

from cache.log_lines import Formatter
from cache.worker import Worker
from core.experiment import Experiment, InputError

SOON = 5.0
SECRET = "my private\nsentence\x1b[31m"
KEY = ("sweep", Experiment(sentence=SECRET), (("site", "z"),))


def failing(ctx):
    raise ZeroDivisionError(f"cannot divide {SECRET}")


def refusing(ctx):
    raise InputError(f"{SECRET!r} is three tokens", "original")


@pytest.fixture
def lines(caplog):
    """run, prompts, as_json → the log's lines of a job that runs so."""

    def logged(run, prompts: bool = False, as_json: bool = True) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            worker = Worker()
            assert worker.submit(KEY, run, owner="one", group="one").wait(SOON)
            assert worker.stop(SOON)
        return [Formatter(as_json, prompts).format(record) for record in caplog.records]

    return logged


@pytest.mark.parametrize(("run", "outcome"), [(lambda ctx: 1, "done"), (failing, "failed"), (refusing, "refused")])
def test_each_job_is_one_line_of_json_without_what_was_typed(lines, run, outcome):
    (line,) = lines(run)
    assert "private" not in line and "\n" not in line and "\x1b" not in line
    told = json.loads(line)
    assert (told["event"], told["outcome"]) == ("job", outcome)
    assert told["job"].startswith("sweep ") and told["seconds"] >= 0 and told["waited"] >= 0
    assert (told.get("error") == "ZeroDivisionError") == (outcome == "failed")
    assert json.loads(lines(run)[0])["job"] == told["job"], "a question keeps its name"


def test_a_failure_says_where_it_was_raised(lines):
    assert json.loads(lines(failing)[0])["raised"][-1].endswith("in failing")


def test_what_was_typed_is_there_where_that_is_wanted_and_begins_no_line(lines):
    for as_json in (True, False):
        line = lines(refusing, prompts=True, as_json=as_json)[0]
        assert "my private" in line and "\x1b" not in line
        assert "\n" not in line


def test_as_text_a_failure_is_told_without_what_was_typed(lines):
    (line,) = lines(failing, as_json=False)
    assert "private" not in line and "outcome=failed" in line and "in failing" in line


def test_an_exception_of_a_page_is_told_without_its_message():
    try:
        failing(None)
    except ZeroDivisionError as error:
        record = logging.LogRecord("pages", logging.ERROR, "", 0, "a page", (), (type(error), error, None))
    assert "private" not in Formatter(False, False).format(record)
    assert "ZeroDivisionError" in Formatter(False, False).format(record)
    assert "private" in json.loads(Formatter(True, True).format(record))["traceback"]
