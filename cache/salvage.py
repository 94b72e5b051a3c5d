"""What can still be read of a damaged file of answers: every row that is whole goes into a new file."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from cache.answer_rows import ANSWER, FACT, KEEP_ANSWER, KEEP_FACT, TABLES, as_text, intact

TABLES_OF = (("facts", FACT, KEEP_FACT), ("answers", ANSWER, KEEP_ANSWER))
# Of the header: what is the same in every file of this kind, and the count of pages, which may be left to SQLite.
SAME = (slice(0, 24), slice(44, 48), slice(52, 72))
PAGES = slice(28, 32)
HEADER, PAGE = 100, 4096
OURS = TABLES.strip().splitlines()[0].encode()


def salvage(damaged: Path, db: sqlite3.Connection) -> int:
    """Copy intact rows: from the first one to what cannot be read, then from the last one back to it. How many."""
    copied = 0
    with suppress(OSError):
        _mend_header(damaged, db)
    with closing(sqlite3.connect(damaged)) as source:
        source.text_factory = as_text
        for order in ("ASC", "DESC"):
            for table, columns, keep in TABLES_OF:
                with suppress(sqlite3.Error):
                    for row in source.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY rowid {order}"):
                        copied += db.execute(keep, row).rowcount if intact(*row) else 0
    return copied


def _mend_header(damaged: Path, db: sqlite3.Connection) -> None:
    """One byte of a hundred is enough to make a file of gigabytes unreadable, and most of them are known."""
    with damaged.open("r+b") as file:
        first = bytearray(file.read(PAGE))
        # Nobody else's file is written to.
        if OURS not in first:
            return
        whole = db.serialize()
        for part in SAME:
            first[part] = whole[part]
        first[PAGES] = bytes(4)
        file.seek(0)
        file.write(first[:HEADER])
