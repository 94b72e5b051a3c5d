"""`python -m tests.bench.replay_server run app.py …`: the app as streamlit starts it, but torch is held back.

The worker, about to import torch, waits while the file named by HOLD_TORCH exists. Whoever imports it all the same
leaves a file beside that one, with `.woken` behind its name.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.abc import MetaPathFinder
from pathlib import Path

from streamlit.web import cli

from cache import stages

HEAVY = ("torch", "transformers", "transformer_lens")
HOLD = Path(os.environ["HOLD_TORCH"])
WOKEN = HOLD.with_suffix(".woken")


def hold() -> None:
    """In place of waiting for a quiet moment; not within the import, where it would keep all others from importing."""
    while HOLD.exists():
        time.sleep(0.01)


class Watching(MetaPathFinder):
    """Finds nothing itself, and notes what is looked for."""

    def find_spec(self, name, path=None, target=None):
        if name in HEAVY:
            WOKEN.touch()
        return None


if __name__ == "__main__":
    sys.meta_path.insert(0, Watching())
    stages.wait_for_quiet = hold
    cli.main()
