"""What `make check` holds, and that `make test` begins with it."""

import os
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands(target: str) -> list[str]:
    """What make would run, the tool of each line without its folder."""
    # As typed: run by another make, as here, it would name its folder too.
    command = ["make", "--no-print-directory", "--dry-run", target]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=alone).stdout
    return [Path(line.split()[0]).name + line.removeprefix(line.split()[0]) for line in printed.splitlines() if line]


def test_make_test_begins_with_lint_and_types():
    check = ["ruff check .", "ruff format --check .", "mypy"]
    assert commands("check")[-3:] == check
    tests = commands("test")
    assert [tests.index(command) for command in check] == sorted(tests.index(command) for command in check)
    assert tests.index("mypy") < next(n for n, command in enumerate(tests) if "-m pytest" in command)


def test_core_and_cache_are_checked_strictly_and_wholly():
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert mypy["strict"] and {"core", "cache", "pages"} <= set(mypy["files"])
    relaxed = {name for override in mypy["overrides"] for name in override["module"]}
    assert not [name for name in relaxed if name.split(".")[0] in ("core", "cache")]
