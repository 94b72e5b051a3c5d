"""`python -m tests.bench [NAME …]`: run every benchmark, or those named: each module bench_NAME has a main()."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from pathlib import Path

import transformers

PREFIX = "bench_"


def names() -> list[str]:
    modules = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted(name.removeprefix(PREFIX) for name in modules if name.startswith(PREFIX))


def main(chosen: list[str]) -> None:
    unknown = set(chosen) - set(names())
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(names())}")
    transformers.logging.disable_progress_bar()
    # What is computed is measured, not what was kept of an earlier measurement.
    os.environ |= {"REPHRASE_STORE_MB": "0", "REPHRASE_SHIPPED": "0"}
    for name in chosen or names():
        importlib.import_module(f"tests.bench.{PREFIX}{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
