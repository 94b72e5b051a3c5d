"""`python -m tests.browser.held run app.py …`: the app as streamlit starts it, but sweeps can be held.

After each chunk, its result shown, a sweep waits while the file named by HOLD exists, if that was there when it began:
what an earlier test left behind runs on to its own end. What a page shows in the middle of a sweep can so be looked at,
however fast the machine is; what ends a sweep is the worker's own doing, as ever.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from streamlit.web import cli

from cache.questions import patching as patching_questions

HOLD = Path(os.environ["HOLD"])
_watched = patching_questions._watched


def _made(path: Path) -> int:
    """When the file was made, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def watched(*args, **options) -> dict:
    tied, hold = _watched(*args, **options), _made(HOLD)

    def progress(done: int, total: int, partial) -> None:
        tied["progress"](done, total, partial)
        while hold and _made(HOLD) == hold:
            time.sleep(0.01)

    return {**tied, "progress": progress}


if __name__ == "__main__":
    patching_questions._watched = watched
    cli.main()
