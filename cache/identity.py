"""What names both models' weights for good, found without torch and without reading gigabytes twice.

A hub model is named by its commit; a folder, an adapter and a GGUF file by the sha256 of what they are made of:
weights, config and tokenizer. A file's hash is remembered by its path, size and time of change. Of weights that are not
on this machine the identity last remembered is taken: what was answered with them can still be shown.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from core.experiment import InputError
from core.models.hub import MODEL_FILES, commit_here
from core.models.pairs import PairSpec
from core.models.places import gguf_file, is_path, last_part, local_path

_FILE = "sha256 of"  # begins the name of every fact about a file
AT_ONCE = 256 * 10**6  # bytes that may be hashed while a viewer waits, some 0.2 s, once for a file


class Facts(Protocol):
    """What is remembered from one process to the next."""

    def fact(self, name: str) -> str | None: ...

    def remember(self, name: str, value: str) -> None: ...


@dataclass(frozen=True)
class File:
    """One file as it was when it was looked at; time: of its last change, in ns."""

    path: str
    size: int
    time: int

    @staticmethod
    def at(path: Path) -> File:
        stat = path.stat()
        return File(str(path.absolute()), stat.st_size, stat.st_mtime_ns)

    @property
    def fact(self) -> str:
        return f"{_FILE} {self.path}, {self.size} bytes, changed at {self.time}"

    def unchanged(self) -> bool:
        return File.at(Path(self.path)) == self


@dataclass(frozen=True)
class Weights:
    """One model on this machine: a commit of the hub, or the files that it is made of."""

    commit: str = ""
    files: tuple[File, ...] = ()


Both = tuple[Weights, Weights]


def weights_here(spec: PairSpec, commits: tuple[str, str] = ("", "")) -> Both | None:
    """Both models' weights, or None where one of them is not on this machine.

    commits: of the hub, where it is known which ones were loaded.
    """
    sources = (spec.base, spec.base_revision, commits[0]), (spec.instruct, spec.instruct_revision, commits[1])
    try:
        base, instruct = (_weights(*source) for source in sources)
    except (InputError, OSError):  # a package that is not installed, a folder without right to read
        return None
    return (base, instruct) if base and instruct else None


def files_here(spec: PairSpec) -> tuple[Weights | None, ...]:
    """What of both models may change on this machine: their files, none of a hub model, which its commit names."""
    try:
        return tuple(_weights(name, "", "") if is_path(name) else Weights() for name in (spec.base, spec.instruct))
    except (InputError, OSError):
        return ()


def _weights(name: str, revision: str, commit: str) -> Weights | None:
    if not is_path(name):
        commit = commit or commit_here(name, revision)
        return Weights(commit) if commit else None
    if (file := gguf_file(name)) is not None:
        return Weights(files=(File.at(file),)) if file.is_file() else None
    folder = local_path(name)
    found = sorted(filter(_of_a_model, os.listdir(folder))) if folder.is_dir() else []
    whole = any(name.endswith(".safetensors") for name in found)
    return Weights(files=tuple(File.at(folder / name) for name in found)) if whole else None


def _of_a_model(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in MODEL_FILES)


def fact_of(spec: PairSpec, what: str) -> str:
    """The name under which something about a pair is remembered, the same wherever its files lie on a machine."""
    sources = [last_part(spec.base), spec.base_revision, last_part(spec.instruct), spec.instruct_revision]
    # The id of somebody's own models is made of their paths, which are nobody else's business.
    own = spec.id == f"{spec.base}|{spec.instruct}" and any(map(is_path, (spec.base, spec.instruct)))
    return json.dumps([what, _digest([spec.id]) if own else spec.id, *sources, spec.dtype, spec.quantization])


def portable(facts: Mapping[str, str]) -> dict[str, str]:
    """What another machine has a use for: all but the hashes of this one's files."""
    return {name: value for name, value in facts.items() if not name.startswith(_FILE)}


class Identities:
    """Identities of pairs, with the hashes of files that `facts` remembers."""

    def __init__(self, facts: Facts):
        self._facts = facts

    def known(self, spec: PairSpec) -> str | None:
        """A pair's identity, from any thread: None where only hashing large files would tell it."""
        both = weights_here(spec)
        return self.at_once(spec, both) if both else self._facts.fact(fact_of(spec, "identity"))

    def at_once(self, spec: PairSpec, both: Both) -> str | None:
        """The identity of weights that were found here; None where only hashing large files would tell it."""
        left = [file for weights in both for file in weights.files if self._facts.fact(file.fact) is None]
        return self.of(spec, both) if sum(file.size for file in left) <= AT_ONCE else None

    def of(self, spec: PairSpec, both: Both) -> str | None:
        """The identity of weights that were found here, hashed where need be; None where they have changed since."""
        named = [weights.commit or self._content(weights) for weights in both]
        if not all(named):
            return None
        identity = _digest([*named, spec.quantization])
        remember_once(self._facts, fact_of(spec, "identity"), identity)
        return identity

    def _content(self, weights: Weights) -> str | None:
        hashes = [self._hash(file) for file in weights.files]
        return _digest(hashes) if all(hashes) else None

    def _hash(self, file: File) -> str | None:
        if known := self._facts.fact(file.fact):
            return known
        try:
            with open(file.path, "rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
            if not file.unchanged():
                return None
        except OSError:
            return None
        self._facts.remember(file.fact, found)
        return found


def remember_once(facts: Facts, name: str, value: str) -> None:
    """Remember what is not remembered yet: a fact that is asked for often is seldom written."""
    if facts.fact(name) != value:
        facts.remember(name, value)


def _digest(value: list[str | None]) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
