"""Tests that wait for the worker pass on a machine that has no core to spare."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.busy import cores

ROOT = Path(__file__).parents[1]
FILES = [f"tests/cache/test_{name}.py" for name in ("worker", "turns", "job_ends")]


@pytest.fixture
def busy():
    """The process that keeps every core busy, once it does."""
    process = subprocess.Popen([sys.executable, "-m", "tests.busy"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == f"{cores()} cores are busy\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_workers_tests_pass_beside_it(busy):
    # They need nothing of tests/conftest.py, which imports torch; their fixture comes as a plugin.
    options = ["-q", "-p", "no:cacheprovider", "--noconftest", "-p", "tests.cache.jobs"]
    sample = [sys.executable, "-m", "pytest", *options, *FILES]
    ran = subprocess.run(sample, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert busy.poll() is None


def test_no_core_stays_busy_once_it_was_killed(busy):
    busy.kill()
    # Ends only when nobody holds the other side any more.
    assert busy.stdout.read() == ""
