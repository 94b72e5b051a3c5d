"""The numbers of finished prompts: written one prompt at a time, read one field of all prompts at a time.

What averages need at once is one field, so memory does not grow with how many fields there are, nor with anything else
of a prompt. A prompt is there whole or not at all, whatever ends the process.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np

from core.experiment import InputError

_FORMAT = 2  # of the numbers that are kept
Values = Mapping[str, np.ndarray]  # field → its numbers of one prompt


class Kept(Protocol):
    """prompt: `Used.key`."""

    def __contains__(self, prompt: str) -> bool: ...

    def keep(self, prompt: str, values: Values) -> None: ...

    def keep_all(self, values: Mapping[str, Values]) -> None:
        """All of these prompts or, whatever ends the process, none."""
        ...

    def column(self, field: str, prompts: Sequence[str]) -> np.ndarray:
        """(prompt, *shape of the field) float32, in the order asked for."""
        ...


def fill(
    prompts: Sequence[str], kept: Kept, run: Callable[[int], Values], progress: Callable[[int, int], None]
) -> None:
    """Run those that are not kept yet, by their place in `prompts`; progress: how many are there, and of how many."""
    done = sum(prompt in kept for prompt in prompts)
    progress(done, len(prompts))
    for n, prompt in enumerate(prompts):
        if prompt not in kept:
            kept.keep(prompt, run(n))
            done += 1
            progress(done, len(prompts))


def set_up(manifest: Mapping[str, object], plan: Mapping[str, object]) -> str:
    """The name of a file of finished prompts: of everything but the prompts that the numbers depend on."""
    text = json.dumps([_FORMAT, manifest, plan], sort_keys=True, default=str)
    return f"finished-{hashlib.sha256(text.encode()).hexdigest()[:12]}.sqlite"


class InMemory:
    """For a set that is small, or asked once."""

    def __init__(self) -> None:
        self._found: dict[str, Values] = {}

    def __contains__(self, prompt: str) -> bool:
        return prompt in self._found

    def keep(self, prompt: str, values: Values) -> None:
        self._found[prompt] = {field: np.asarray(array, np.float32) for field, array in values.items()}

    def keep_all(self, values: Mapping[str, Values]) -> None:
        for prompt, of_prompt in values.items():
            self.keep(prompt, of_prompt)

    def column(self, field: str, prompts: Sequence[str]) -> np.ndarray:
        return np.stack([self._found[prompt][field] for prompt in prompts])


class OnDisk(AbstractContextManager["OnDisk"]):
    """A file that one process at a time writes to; the same numbers are found there when it starts again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = sqlite3.connect(path, timeout=1)
        try:
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            with self._file:
                self._file.execute("BEGIN EXCLUSIVE")
                self._file.execute("CREATE TABLE IF NOT EXISTS shapes (field TEXT PRIMARY KEY, shape TEXT)")
                self._file.execute("CREATE TABLE IF NOT EXISTS prompts (prompt TEXT PRIMARY KEY)")
                self._file.execute(
                    "CREATE TABLE IF NOT EXISTS kept (field TEXT, prompt TEXT, numbers BLOB, "
                    "PRIMARY KEY (field, prompt)) WITHOUT ROWID"
                )
        except sqlite3.DatabaseError as error:
            self._file.close()
            busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
            raise InputError(
                f"another run writes to {str(path)!r}; wait for it, or choose another folder"
                if busy
                else f"{str(path)!r} cannot be read ({error}); delete it to begin anew",
                "out",
            ) from None

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def __contains__(self, prompt: str) -> bool:
        return self._file.execute("SELECT 1 FROM prompts WHERE prompt = ?", (prompt,)).fetchone() is not None

    def keep(self, prompt: str, values: Values) -> None:
        self.keep_all({prompt: values})

    def keep_all(self, values: Mapping[str, Values]) -> None:
        with self._file:
            for prompt, of_prompt in values.items():
                for field, array in of_prompt.items():
                    shape = ",".join(map(str, array.shape))
                    self._file.execute("INSERT OR IGNORE INTO shapes VALUES (?, ?)", (field, shape))
                    numbers = np.asarray(array, "<f4").tobytes()
                    self._file.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (field, prompt, numbers))
                self._file.execute("INSERT OR REPLACE INTO prompts VALUES (?)", (prompt,))

    def column(self, field: str, prompts: Sequence[str]) -> np.ndarray:
        (text,) = self._file.execute("SELECT shape FROM shapes WHERE field = ?", (field,)).fetchone()
        shape = tuple(int(size) for size in text.split(",") if size)
        found = np.empty((len(prompts), *shape), np.float32)
        for n, prompt in enumerate(prompts):
            of = (field, prompt)
            (numbers,) = self._file.execute("SELECT numbers FROM kept WHERE field = ? AND prompt = ?", of).fetchone()
            found[n] = np.frombuffer(numbers, "<f4").reshape(shape)
        return found
