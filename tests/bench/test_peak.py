"""A child's peak is its own, not that of the process that asks."""

from __future__ import annotations

import sys
from subprocess import CalledProcessError

import pytest

from tests.bench.peak import peak_bytes

MB = 10**6


def test_a_childs_peak_is_its_own_whatever_its_parent_holds():
    held = bytearray(b"x" * 200 * MB)
    small = peak_bytes([sys.executable, "-S", "-c", "print()"])
    large = peak_bytes([sys.executable, "-S", "-c", f"b'x' * {100 * MB}"])
    assert small < 60 * MB and 90 * MB < large - small < 130 * MB, (small, large, len(held))


def test_a_command_that_fails_has_no_peak():
    with pytest.raises(CalledProcessError):
        peak_bytes([sys.executable, "-c", "raise SystemExit(3)"])
