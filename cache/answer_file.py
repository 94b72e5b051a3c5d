"""The SQLite file beneath a store: opened, shared by threads and processes, and set aside when it is damaged.

The file is in write-ahead mode: what was committed outlives the death of its process, and readers wait for nobody. A
connection is used by one thread at a time and then by the next one: threads that draw pages live too short for one of
their own. A read-only file is taken to be finished: nobody writes to it, and nothing is laid beside it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from cache.answer_rows import APPLICATION_ID, SCHEMA, TABLES, as_text
from cache.salvage import salvage

try:
    import fcntl
except ImportError:  # not on Windows, where an open file cannot be renamed behind somebody's back either
    fcntl = None  # type: ignore[assignment]

BUSY = 2.0  # seconds that a write waits for another process's
IDLE = 4  # connections kept for the next one who asks
LOG = 4 * 10**6  # bytes that the log keeps once it is written into the file
SIDES = ("", "-wal", "-shm")
# What SQLite says of a file that is not, or no longer, what it should be. A missing table is a plain SQLITE_ERROR.
DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
}
UNWRITABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class Foreign(sqlite3.DatabaseError):
    """A SQLite file that is no store."""


class _Connection(NamedTuple):
    db: sqlite3.Connection
    process: int
    file: tuple[int, int] | None


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """A transaction that is there as a whole when the block ends, or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # already rolled back, where the disk is full
            db.execute("ROLLBACK")
        raise


class AnswerFile:
    """Connections to one path, whatever becomes of the file there."""

    def __init__(self, path: Path, read_only: bool = False):
        self.path = path
        self.read_only = read_only
        self._idle: list[_Connection] = []
        self._lock = Lock()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile; after an error it is not used again."""
        mine = self._take() or self._open()
        try:
            yield mine.db
        except BaseException:
            mine.db.close()
            raise
        with self._lock:
            if keep := len(self._idle) < IDLE:
                self._idle.append(mine)
        if not keep:
            mine.db.close()

    def mended(self, error: Exception) -> str | None:
        """What was done about an error, in one line, where the same can now be tried once more."""
        code = getattr(error, "sqlite_errorcode", -1)
        # SQLite takes a file whose header it does not understand for a newer one, and does not write to it.
        misread = code == sqlite3.SQLITE_READONLY and os.access(self.path, os.W_OK)
        if self.read_only or not (isinstance(error, Foreign) or misread or code & 0xFF in DAMAGE):
            return None
        return self._set_aside(error)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            # A connection of the process that this one was forked from is not ours to close.
            if connection.process == os.getpid():
                connection.db.close()

    def _take(self) -> _Connection | None:
        file = self._file()
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.process != os.getpid():
                    _of_a_parent.append(connection)
                elif connection.file == file:
                    return connection
                else:
                    # The file was deleted, or set aside by another process.
                    connection.db.close()
        return None

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> _Connection:
        if self.read_only:
            return self._connected(_finished(self.path))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path.parent):
            return self._connected(_writable(self.path))

    def _connected(self, db: sqlite3.Connection) -> _Connection:
        return _Connection(db, os.getpid(), self._file())

    def _set_aside(self, error: Exception) -> str | None:
        """Rename the file, begin a new one and take over every row that can still be read."""
        damaged = self._file()
        self.close()
        with _alone(self.path.parent):
            if damaged is None or self._file() != damaged:
                return f"{self.path.name} was replaced meanwhile"
            aside = self._renamed()
            with closing(_writable(self.path)) as db:
                with writing(db):
                    saved = salvage(aside, db)
        return f"{self.path.name} was damaged ({error}): set aside as {aside.name}, {saved} rows taken over"

    def _renamed(self) -> Path:
        # One is kept to look into; more would be outside every bound.
        for earlier in self.path.parent.glob(f"{self.path.name}.damaged-*"):
            earlier.unlink(missing_ok=True)
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        # The log first: one that is left behind would be played into the new file.
        for side in reversed(SIDES):
            with suppress(FileNotFoundError):
                os.replace(f"{self.path}{side}", f"{aside}{side}")
        return aside


_of_a_parent: list[_Connection] = []  # never closed: that would end the parent's locks on its own file


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process opens, or sets aside, a file in this folder meanwhile. Where that cannot be had, go on."""
    handle = None
    with suppress(OSError):
        if fcntl is not None:
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _writable(path: Path) -> sqlite3.Connection:
    """The file, made where it is not there; where it cannot be written it can still be read."""
    db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        # Its size is no measure: who began it may have been killed before it was whole, which SQLite sees.
        if db.execute("PRAGMA page_count").fetchone()[0] == 0:
            _create(db)
        # First of all: a foreign file is not even touched. Put into write-ahead mode, it would be another one.
        _check(db)
        db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {LOG}").fetchone()
        return db
    except sqlite3.OperationalError as error:
        db.close()
        if getattr(error, "sqlite_errorcode", -1) & 0xFF not in UNWRITABLE or not path.is_file():
            raise
        return _finished(path)
    except BaseException:
        db.close()
        raise


def _finished(path: Path) -> sqlite3.Connection:
    source = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    db = sqlite3.connect(source, uri=True, isolation_level=None, check_same_thread=False)
    try:
        _check(db)
        return db
    except BaseException:
        db.close()
        raise


def _check(db: sqlite3.Connection) -> None:
    db.text_factory = as_text
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if found != [APPLICATION_ID, SCHEMA]:
        raise Foreign("not a file of answers")


def _create(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with writing(db):
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return
        for statement in TABLES.strip().split(";")[:-1]:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA}")
