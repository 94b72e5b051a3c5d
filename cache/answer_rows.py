"""The rows of a store: its tables, and the checksum that tells whether a row is the one that was written."""

from __future__ import annotations

import hashlib

APPLICATION_ID = 0x52455048  # "REPH", in the file's header
SCHEMA = 1

TABLES = """
CREATE TABLE answers (key TEXT NOT NULL UNIQUE, complete INTEGER NOT NULL, format INTEGER NOT NULL, label TEXT NOT NULL,
    checksum BLOB NOT NULL, size INTEGER NOT NULL, used REAL NOT NULL, value BLOB NOT NULL);
CREATE INDEX answers_by_use ON answers (used);
CREATE TABLE facts (name TEXT NOT NULL UNIQUE, value TEXT NOT NULL, checksum BLOB NOT NULL);
"""
ANSWER, FACT = "key, complete, format, label, checksum, size, used, value", "name, value, checksum"
KEEP_ANSWER = f"INSERT OR IGNORE INTO answers ({ANSWER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
KEEP_FACT = f"INSERT OR IGNORE INTO facts ({FACT}) VALUES (?, ?, ?)"


def checksum(*parts: object) -> bytes:
    """Of everything that a row means; whatever a damaged row holds in place of it."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode(errors="surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()


def intact(*row: object) -> bool:
    """Whether a row of answers or of facts, in the order of its columns, is the one that was written."""
    if len(row) == len(FACT.split()):
        name, value, written = row
        return checksum(name, value) == written
    key, complete, format, label, written, *_, value = row
    return checksum(key, complete, format, label, value) == written


def as_text(data: bytes) -> str:
    """Text of a damaged row need not be text."""
    return data.decode(errors="replace")
