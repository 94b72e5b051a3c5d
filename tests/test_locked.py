"""What a container installs: every package that is needed, by the hash of its file, and from no private registry."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_floors import pins

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
_ENTRY = re.compile(r"([\w.\-]+)==([\w.]+)(?: ; .+)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def locked(text: str) -> dict[str, tuple[str, int]]:
    """Package → version and number of hashes; a line that is no entry, hash or comment is refused."""
    found: dict[str, tuple[str, int]] = {}
    for line in text.splitlines():
        if entry := _ENTRY.fullmatch(line):
            name = entry[1]
            found[name] = entry[2], 0
        elif _HASH.fullmatch(line) and found:
            version, hashes = found[name]
            found[name] = version, hashes + 1
        elif line and not line.lstrip().startswith("#"):
            raise ValueError(line)
    return found


def needed(names: set[str]) -> set[str]:
    """These packages and what they need in turn, as they are installed here."""
    found: set[str] = set()
    waiting = [(canonicalize_name(name), "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        if (key := f"{name}[{extra}]") in found:
            continue
        found.add(key)
        try:
            wanted = [Requirement(each) for each in requires(name) or []]
        except PackageNotFoundError:
            continue
        for each in wanted:
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(each.name), extra) for extra in ("", *each.extras)]
    return {key.partition("[")[0] for key in found}


def test_the_lock_has_the_versions_that_are_required_and_all_that_they_need():
    entries, wanted = locked(LOCK), pins(ROOT, "requirements.txt")
    for name, version in wanted.items():
        assert entries[canonicalize_name(name)][0] == version, f"{name}: make lock"
    assert needed(set(wanted)) - set(entries) == set(), "make lock"


def test_every_locked_file_has_a_hash_and_none_an_address():
    entries = locked(LOCK)
    assert len(entries) > 60 and min(hashes for _, hashes in entries.values()) >= 1
    assert not re.search(r"://|file:|--(extra-)?index|--find-links|@ ", LOCK)
    models = (ROOT / "requirements-models.txt").read_text(encoding="utf-8")
    assert len(re.findall(r"^\S+==\S+ \\$", models, re.MULTILINE)) == len(re.findall("--hash=sha256:", models)) == 1


def test_the_container_installs_by_hash_and_nothing_else():
    installed = re.findall(r"pip install .+", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert len(installed) == 2 and all("--require-hashes" in line for line in installed)
    assert "requirements.lock" in installed[0] and "--no-deps" in installed[1]


@pytest.mark.parametrize("line", ["--index-url https://registry.example/", "torch==2.13.0", "x @ file:///x.whl \\"])
def test_a_line_of_another_kind_is_seen(line):
    with pytest.raises(ValueError, match=re.escape(line)):
        locked(f"{LOCK}\n{line}\n")
