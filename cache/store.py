"""Answers on disk: bytes by key in one SQLite file, a row an answer, for any thread and any number of processes.

A row is read only if its checksum and its format are right, so what comes back is what was put, or nothing. Whatever
happens to the disk, the store answers: it keeps nothing then, and says so in one line. It is bounded in bytes of the
file, the least recently used answers out first; when one was used is written down with the next answer that is kept,
never by a reader.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

from cache.answer_file import AnswerFile, writing
from cache.answer_rows import FACT, checksum, intact
from cache.encoding import FORMAT

log = logging.getLogger(__name__)
T = TypeVar("T")

RECENT = 60.0  # seconds within which a second use of an answer is no news
ROOM = 0.05  # of the bound, freed at once where an answer does not fit
ROW = 300  # bytes of a row beside its value: key, label, checksum, two indexes
FACTS = 10_000  # kept, the latest ones: a fact is some hundred bytes

GET = "SELECT key, complete, format, label, checksum, size, used, value FROM answers WHERE key = ?"
# A sweep that another process has finished is never unfinished again; an answer of an older format is no answer.
PUT = """INSERT INTO answers (key, complete, format, label, checksum, size, used, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET complete = excluded.complete, format = excluded.format, label = excluded.label,
    checksum = excluded.checksum, size = excluded.size, used = excluded.used, value = excluded.value
WHERE excluded.complete >= answers.complete OR excluded.format != answers.format"""
OLDEST = "SELECT rowid, size FROM answers ORDER BY used"
USED = "UPDATE answers SET used = ? WHERE key = ? AND used < ?"
PRUNE = "DELETE FROM facts WHERE rowid <= (SELECT max(rowid) FROM facts) - ?"


@dataclass(frozen=True)
class Stored:
    """complete: whether it is the whole answer, or what there was of it when its computation was ended."""

    value: bytes
    complete: bool
    label: str = ""


@dataclass(frozen=True)
class StoreStats:
    """entries and bytes: of the file; hits and misses: of this process. trouble: "", or the one line to tell."""

    path: Path
    entries: int
    bytes: int
    limit: int
    hits: int
    misses: int
    trouble: str


class Store:
    """limit_bytes: of the file; 0 keeps nothing. read_only: a finished file, which is never touched."""

    def __init__(self, path: Path, limit_bytes: int, read_only: bool = False):
        self.path = path
        self.limit = limit_bytes
        self._file = AnswerFile(path, read_only)
        self._reads = read_only or limit_bytes > 0
        self._writes = not read_only and limit_bytes > 0
        self._lock = Lock()
        self._hits = self._misses = 0
        self._used: dict[str, float] = {}
        self._damage = self._unkept = ""

    def get(self, key: str) -> Stored | None:
        row = self._read(lambda db: db.execute(GET, (key,)).fetchone())
        if row is not None and not intact(*row):
            self._drop(key)
            row = None
        found, last = None, 0.0
        if row is not None and row[2] == FORMAT:
            _, complete, _, label, _, _, last, value = row
            found = Stored(value, bool(complete), label)
        with self._lock:
            self._hits += found is not None
            self._misses += found is None
            if found and last < time.time() - RECENT:
                self._used[key] = time.time()
        return found

    def put(self, key: str, value: bytes, complete: bool = True, label: str = "") -> None:
        """Returns once it is committed. A complete answer is never replaced by an incomplete one.

        A value of more than half the bound is not kept, so that one of them cannot push out everything else.
        """
        self.put_all([(key, Stored(value, complete, label))])

    def put_all(self, answers: Iterable[tuple[str, Stored]]) -> None:
        """The same for many, in one transaction: all of them or none."""
        rows = [_row(key, answer) for key, answer in answers if len(answer.value) + ROW <= self.limit // 2]

        def keep(db: sqlite3.Connection) -> None:
            with self._lock:
                used, self._used = self._used, {}
            with writing(db):
                db.executemany(USED, [(when, name, when) for name, when in used.items()])
                for row in rows:
                    db.execute(PUT, row)
                    _make_room(db, self.limit)
            _cut_down(db, self.limit)

        if rows:
            self._write(keep)

    def fact(self, name: str) -> str | None:
        """A fact remembered beside the answers."""
        row = self._read(lambda db: db.execute(f"SELECT {FACT} FROM facts WHERE name = ?", (name,)).fetchone())
        return row[1] if row is not None and intact(*row) else None

    def remember(self, name: str, value: str) -> None:
        def keep(db: sqlite3.Connection) -> None:
            with writing(db):
                row = (name, value, checksum(name, value))
                db.execute(f"INSERT OR REPLACE INTO facts ({FACT}) VALUES (?, ?, ?)", row)
                db.execute(PRUNE, (FACTS,))

        self._write(keep)

    def facts(self) -> dict[str, str]:
        rows = self._read(lambda db: db.execute(f"SELECT {FACT} FROM facts").fetchall()) or []
        return {row[0]: row[1] for row in rows if intact(*row)}

    def keys(self) -> tuple[str, ...]:
        """Of the answers that can be read, those first that were kept first."""
        return tuple(self.labels())

    def labels(self) -> dict[str, str]:
        """The label of each answer that can be read, by key."""
        query = "SELECT key, label FROM answers WHERE format = ? ORDER BY rowid"
        return dict(self._read(lambda db: db.execute(query, (FORMAT,)).fetchall()) or [])

    def stats(self) -> StoreStats:
        count = "SELECT count(*) FROM answers"
        entries, used = self._read(lambda db: (db.execute(count).fetchone()[0], _bytes_used(db))) or (0, 0)
        trouble = "; ".join(filter(None, (self._damage, self._unkept)))
        with self._lock:
            return StoreStats(self.path, entries, used, self.limit, self._hits, self._misses, trouble)

    def clear(self) -> None:
        """Forget every answer; the facts stay."""

        def clear(db: sqlite3.Connection) -> None:
            with writing(db):
                db.execute("DELETE FROM answers")
            _cut_down(db, 0)

        self._write(clear)

    def close(self) -> None:
        self._file.close()

    def _drop(self, key: str) -> None:
        self._tell_damage(f"an answer in {self.path.name} was damaged: it is computed again")

        def drop(db: sqlite3.Connection) -> None:
            with writing(db):
                db.execute("DELETE FROM answers WHERE key = ?", (key,))

        self._write(drop)

    def _read(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        return self._tried(action) if self._reads else None

    def _write(self, action: Callable[[sqlite3.Connection], None]) -> None:
        def done(db: sqlite3.Connection) -> bool:
            action(db)
            return True

        if self._writes and self._tried(done):
            self._unkept = ""

    def _tried(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """What the action returns, in a second try where the file had to be replaced by a new one, or None."""
        what = "answers are not kept in" if self._writes else "no answers can be read from"
        for last in (False, True):
            try:
                with self._file.connection() as db:
                    return action(db)
            except (sqlite3.Error, OSError, UnicodeError) as error:
                if last or not self._mended(error):
                    self._tell_unkept(f"{what} {self.path}: {error}")
                    break
        return None

    def _mended(self, error: Exception) -> bool:
        try:
            done = self._file.mended(error)
        except (sqlite3.Error, OSError):
            return False
        if done:
            self._tell_damage(done)
        return bool(done)

    def _tell_damage(self, line: str) -> None:
        if line != self._damage:
            log.warning(line)
        self._damage = line

    def _tell_unkept(self, line: str) -> None:
        if line != self._unkept:
            log.warning(line)
        self._unkept = line


def _row(key: str, answer: Stored) -> tuple[object, ...]:
    """In the order of `PUT`."""
    complete = int(answer.complete)
    written = checksum(key, complete, FORMAT, answer.label, answer.value)
    return key, complete, FORMAT, answer.label, written, len(answer.value) + ROW, time.time(), answer.value


def _bytes_used(db: sqlite3.Connection) -> int:
    """Of the file, its free pages left out."""
    pages, free, size = (_pragma(db, name) for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def _make_room(db: sqlite3.Connection, limit: int) -> None:
    """Drop the least recently used answers of a store past its bound."""
    while (used := _bytes_used(db)) > limit:
        excess, going = used - (1 - ROOM) * limit, []
        for row, size in db.execute(OLDEST):
            if excess <= 0:
                break
            going.append((row,))
            excess -= size
        if not going:
            return
        db.executemany("DELETE FROM answers WHERE rowid = ?", going)


def _cut_down(db: sqlite3.Connection, limit: int) -> None:
    """Give back free pages that lie beyond the bound."""
    beyond = _pragma(db, "page_count") - limit // _pragma(db, "page_size")
    if beyond > 0:
        # As a script: an ordinary statement frees one page and stops.
        db.executescript(f"PRAGMA incremental_vacuum({beyond})")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
