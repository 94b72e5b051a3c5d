"""A model of the hub, brought to a local folder; from there on there is one way of loading."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.experiment import InputError, shorten

MB = 10**6

MODEL_FILES = ["*.json", "*.safetensors", "tokenizer.model", "*.txt", "*.jinja"]  # what a model is made of
_HUB_DOUBLES = ["consolidated*", "original/*"]  # the same weights once more, in another layout


_RECENT = 5.0  # seconds over which a speed is measured


def download(name: str, revision: str, progress: Callable[[str], None] = lambda message: None) -> Path:
    """The folder of a model or adapter of the hub, its name the commit; downloaded if it is not in the hub's cache.

    progress: called after each piece that comes, from several threads; what it raises ends the download.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils.tqdm import disable_progress_bars

    # Its bars would stand beside the one line that an error gets.
    disable_progress_bars()
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=MODEL_FILES,
                ignore_patterns=_HUB_DOUBLES,
                max_workers=4,
                tqdm_class=_bars(Meter(name), progress),
            )
        )
    except GatedRepoError:
        message = f"{name!r} is gated: ask for access on its page, then set HF_TOKEN to a token of that account"
    except RepositoryNotFoundError:
        message = f"the hub has no model {name!r} that this token may read; check the name, or set HF_TOKEN"
    except RevisionNotFoundError:
        message = f"{name!r} has no revision {revision!r}; give a branch, tag or commit of it"
    except HFValidationError as error:
        message = f"{name!r} is no name of a model: {shorten(str(error), 100)}"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        # What the hub answered, where it did, is in the chain.
        message = _refused(name, error.__cause__) or (
            f"{name!r} is not on this machine and the hub cannot be reached; connect, or name local folders "
            "(--base and --instruct on the command line, REPHRASE_PAIRS in the app)"
        )
    except Exception as error:  # the hub's HTTP library has errors of its own
        message = _refused(name, error) or (
            f"the download of {name!r} broke off ({type(error).__name__}: {shorten(str(error), 80)}); "
            "what has come is kept, try again"
        )
    raise InputError(message, "pair")


class Meter:
    """How much of a download has come and how fast, in one line; may be told from any thread."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._seen: deque[tuple[float, float]] = deque([(clock(), 0.0)])

    def line(self, done: float, total: float) -> str:
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _RECENT:
            self._seen.popleft()
        since, before = self._seen[0]
        speed = f", {(done - before) / (now - since) / MB:,.1f} MB/s" if now > since else ""
        return f"downloading {self._name}: {done / MB:,.0f} of {total / MB:,.0f} MB{speed}"


def _bars(meter: Meter, progress: Callable[[str], None]) -> type:
    """The bars that the hub's library draws, as lines: it takes a class. Two of them count the same bytes."""
    from huggingface_hub.utils.tqdm import tqdm

    lock = threading.Lock()
    counting: list[tqdm] = []

    class Bar(tqdm):
        def __init__(self, *args: object, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": True})  # type: ignore[no-untyped-call]
            if options.get("unit") == "B":
                counting.append(self)

        def update(self, n: float | None = 1) -> None:
            with lock:
                self.n += n or 0
                # One of the two guesses its total beyond what the files say.
                total = min((bar.total for bar in counting if bar.total), default=0)
                line = meter.line(min(max((bar.n for bar in counting), default=0), total), total) if total else ""
            try:
                progress(line or f"asking for {meter._name}")
            except BaseException:
                _end_transfers()
                raise

    return Bar


def _end_transfers() -> None:
    """As the library does at Ctrl-C: a transfer of its own kind does not see what its callback raises."""
    with suppress(ImportError):
        from huggingface_hub.utils._xet import abort_xet_session

        abort_xet_session()


def commit_here(name: str, revision: str) -> str:
    """The commit of a hub model that is in the hub's cache on this machine, "" where there is none; asks no network."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE, f"models--{name.replace('/', '--')}")
    reference = folder / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    held = folder / "snapshots" / commit
    return commit if any(held.glob("*.safetensors")) else ""


def _refused(name: str, error: BaseException | None) -> str | None:
    """What to say of an answer of the hub's that is an error; None where there was no answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return None
    remedy = {
        401: "set HF_TOKEN to a valid token, or unset it",
        403: "this token may not read it: ask for access on its page",
        429: "too many requests: wait a while",
    }
    return f"the hub refused {name!r} with status {status}; {remedy.get(status, 'try again later')}"
