"""Answers that last: found on disk before any model is loaded, kept there once they are computed.

Looked for in this machine's store, then in the bundles that are opened beside it: the one that the settings name, and
the gallery that is shipped. Any thread may look, and what is found needs no torch; a thread of its own writes. Without
a store (`REPHRASE_STORE_MB` 0) nothing is kept, and bundles are read as ever.

Where nobody chooses a dtype, a pair runs in the one that its answers on disk were computed in, so that one screen never
mixes two: what the bundle says that the settings name, else what this machine has resolved before, or took over with
answers before it resolved anything, else what the gallery says. Only what does not fit here, or was never said, is
resolved anew, and remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cache.encoding import Undecodable, decode, encode
from cache.finished import Finished
from cache.identity import Both, Identities, fact_of, remember_once, weights_here
from cache.keys import answer_key
from cache.labels import Label
from cache.questions.catalogue import QUESTIONS
from cache.questions.overview import Overview
from cache.store import Store
from cache.writer import Writer
from core.experiment import Experiment, InputError
from core.models.dtype import HALVES
from core.models.pairs import PairSpec, lacking
from core.patching.begun import Begun
from core.settings import Settings

log = logging.getLogger(__name__)

GALLERY = Path(__file__).with_name("gallery.sqlite")
MOMENT = 5.0  # seconds; what was broken off and is not written by then is computed again


@dataclass(frozen=True)
class Asked:
    """One question about an experiment, of which only what matters to it is left, on a pair of models."""

    question: str
    experiment: Experiment
    options: Mapping[str, Any]
    spec: PairSpec

    def key(self, identity: str, dtype: str) -> str:
        return answer_key(self.question, self.options, self.experiment, identity, dtype)

    @property
    def name(self) -> Hashable:
        """What tells it from others in this process."""
        return self.question, self.experiment, tuple(sorted(self.options.items()))

    @property
    def label(self) -> str:
        """For whoever lists answers, or chooses some for a bundle."""
        return str(Label(self.question, self.experiment))


@dataclass(frozen=True)
class Running:
    """A question while it is answered, in a dtype; weights: what names its models, None where nothing does."""

    asked: Asked
    dtype: str
    weights: Both | None


class Answers:
    """The answers on disk. Nothing here raises for what is wrong with a disk: then nothing is found, or kept."""

    def __init__(self, settings: Settings, store: Store | None = None, bundles: tuple[Store, ...] = ()):
        self.store, self._bundles = store, bundles
        self._settings = settings
        self._facts: dict[str, str] = {}
        self._identities = Identities(self)
        self._writer = Writer()
        self.finished = Finished(settings.sets_folder, settings.store_bytes)

    @staticmethod
    def of(settings: Settings) -> Answers:
        """With the store and the bundles that the settings name."""
        named = [settings.gallery] if settings.gallery else []
        store = Store(settings.store_file, settings.store_bytes) if settings.store_bytes else None
        return Answers(settings, store, _opened([*named, *([GALLERY] if settings.shipped else [])]))

    def find(self, asked: Asked) -> Any:
        """The whole answer, or None."""
        if not self.places:
            return None
        key = self.key_of(asked)
        found = self._read(key, QUESTIONS[asked.question].kind, complete=True) if key else None
        if isinstance(found, Overview):
            # Nothing was loaded or recorded for it now, and another pair of the same weights may have asked for it.
            seconds = dict.fromkeys(found.seconds, 0.0)
            return replace(found, pair=asked.spec.id, own_dtype=asked.spec.dtype, seconds=seconds)
        return found

    def identity(self, spec: PairSpec) -> str | None:
        """What names a pair's weights, as far as that is known without hashing large files."""
        return self._identities.known(spec)

    def key_of(self, asked: Asked) -> str | None:
        """The key of a question's answer, as far as weights and dtype are known without loading anything."""
        identity, dtype = self._identities.known(asked.spec), self._dtype(asked)
        return asked.key(identity, dtype) if identity and dtype else None

    def running(self, asked: Asked, dtype: str, weights: Both | None) -> Running:
        """The question on the pair that was loaded for it; weights: as they were then, for files change below it."""
        if not (asked.experiment.dtype or self._settings.dtype):
            remember_once(self, fact_of(asked.spec, "dtype"), dtype)
        return Running(asked, dtype, weights)

    def begun(self, running: Running) -> Begun | None:
        """How far the answer had come when it was broken off; neither hashes large files nor waits while they are."""
        identity = running.weights and self._identities.at_once(running.asked.spec, running.weights)
        if not identity:
            return None
        self.flush(MOMENT)
        found: Begun | None = self._read(running.asked.key(identity, running.dtype), Begun, complete=False)
        return found

    def keep(self, running: Running, value: Any) -> None:
        """Keep an answer, or what has run of it, in a moment."""
        if self.store is None or not (isinstance(value, Begun) or QUESTIONS[running.asked.question].lasts(value)):
            return
        self._writer.put((running.asked.name, running.dtype), partial(self._write, running, value))

    def prepare(self, spec: PairSpec) -> None:
        """Hash the weights of a pair before anybody asks about it; does not wait for it."""

        def hash_now() -> None:
            self._identities.known(spec)

        self._writer.put(spec, hash_now)

    def check(self, spec: PairSpec) -> None:
        """Refuse what would have to be computed on weights of which only answers are here.

        Weights of the hub are fetched as ever, but where a bundle is opened: on a stage nobody waits for gigabytes.
        """
        if not self.fact(fact_of(spec, "identity")) or weights_here(spec):
            return
        why = lacking(spec)
        if not why and self._settings.gallery:
            why = f"fetch {spec.base} and {spec.instruct} from the hub, or start without REPHRASE_GALLERY"
        if why:
            raise InputError(f"not in this replay: needs the weights of {spec.title}; {why}", "pair")

    def clear(self) -> None:
        """Forget every answer on this machine's disk; bundles stay."""
        self.flush()
        if self.store is not None:
            self.store.clear()
        self.finished.clear()

    def flush(self, timeout: float | None = None) -> bool:
        """Whether everything that was to be kept is written, within `timeout` seconds."""
        return self._writer.flush(timeout)

    def dtype(self, spec: PairSpec) -> str | None:
        """What a pair's answers on disk were computed in where nobody chose a dtype, as far as anything says it."""
        said = self.fact(fact_of(spec, "dtype"))
        # Nothing else is ever resolved, whatever a bundle from elsewhere says.
        return said if said in (spec.dtype, "float32") else None

    def fact(self, name: str) -> str | None:
        """What was remembered under a name: in the bundle that the settings name, here, or in the gallery."""
        if name not in self._facts:
            named = [each for each in self._bundles if each.path == self._settings.gallery]
            found = (known for each in (*named, *self.places) if (known := each.fact(name)) is not None)
            if (value := next(found, None)) is None:
                return None
            self._facts[name] = value
        return self._facts[name]

    def remember(self, name: str, value: str) -> None:
        """Known at once, written in a moment: one thread alone writes, so that none waits for another's disk."""
        self._facts[name] = value
        if self.store is not None:
            self._writer.put(name, partial(self.store.remember, name, value))

    @property
    def places(self) -> tuple[Store, ...]:
        """Where answers are looked for, in this order."""
        return self._bundles if self.store is None else (self.store, *self._bundles)

    def _dtype(self, asked: Asked) -> str | None:
        """What runs, as far as that is known without looking at device and memory."""
        chosen = asked.experiment.dtype or self._settings.dtype or self.dtype(asked.spec)
        return chosen or (asked.spec.dtype if asked.spec.dtype not in HALVES else None)

    def _read(self, key: str, kind: Any, complete: bool) -> Any:
        for each in self.places:
            stored = each.get(key)
            if stored is not None and stored.complete == complete:
                try:
                    return decode(stored.value, kind)
                except Undecodable as error:
                    log.warning("%s", error)
        return None

    def _write(self, running: Running, value: Any) -> None:
        complete = not isinstance(value, Begun)
        if isinstance(value, Overview):
            # Whoever finds it names it; the id of somebody's own models is made of their paths.
            value = replace(value, pair="")
        kind = QUESTIONS[running.asked.question].kind if complete else Begun
        key = self._key(running)
        if key and self.store is not None:
            self.store.put(key, encode(value, kind), complete, running.asked.label)

    def _key(self, running: Running) -> str | None:
        """Hashes the weights where nobody has yet."""
        identity = running.weights and self._identities.of(running.asked.spec, running.weights)
        return running.asked.key(identity, running.dtype) if identity else None


def _opened(paths: list[Path]) -> tuple[Store, ...]:
    return tuple(Store(path, 0, read_only=True) for path in paths if path.is_file())
