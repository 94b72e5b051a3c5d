"""A set on a Ray cluster: one actor a device, each with a resident pair of its own, given one part at a time.

A part gives the same numbers wherever it runs (`core.sets.parts`): on devices of one kind, with as many threads, what
comes back is to the bit what this process would have computed. An actor that dies, with its machine or for want of
memory, is replaced where the cluster has room for another, and its part is given to the next that is free. Only this
module knows Ray, and it is imported for `--ray` alone. Nothing of Ray's usage is reported to anyone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from core.experiment import Experiment, InputError, shorten
from core.sets.entries import PromptSet, Usable, Used
from core.sets.fields import Plan
from core.sets.kept import Kept, Values
from core.sets.parts import Part, SoFar, gather, no_progress, parts_of
from core.sets.ray_actor import Actor, Loading, Refused

TRIES = 3  # of one part, and of the first actor
_SECONDS = 5  # that a machine has to answer
_STORE = 200_000_000  # bytes of a local cluster's object store: only tables pass through it


@contextmanager
def fleet(address: str, how: Loading) -> Iterator[Fleet]:
    """The actors of the cluster at an address, or of one started here for "local"; they end with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _ray(address)
    own = not ray.is_initialized()
    if own:
        _join(ray, address)
    found = Fleet(ray, how)
    try:
        found.start()
        yield found
    except ray.exceptions.RayActorError as error:
        raise InputError(f"an actor of the cluster has died ({_cause(error)})", "ray") from None
    finally:
        found.stop()
        if own:
            ray.shutdown()


def _ray(address: str) -> Any:
    if address == "local":
        # Read when Ray is imported: its servers of a cluster of this machine alone keep to the loopback address.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError("--ray needs Ray; install it with pip install -r requirements-ray.txt", "ray") from None
    return ray


def _join(ray: Any, address: str) -> None:
    how: dict[str, Any] = {"address": address, "logging_level": "ERROR", "log_to_driver": False}
    if address == "local":
        how |= {"include_dashboard": False, "object_store_memory": _STORE}
    else:
        _check_reachable(address)
    try:
        ray.init(**how)
    except Exception as error:
        raise InputError(f"no Ray cluster can be joined at {address!r}: {shorten(str(error), 160)}", "ray") from None


def _check_reachable(address: str) -> None:
    """Ray itself waits a minute for a machine that does not answer, and then ends the process."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        raise InputError(f"--ray {address!r} is no address; give local, auto or HOST:PORT", "ray")
    try:
        socket.create_connection((host, int(port)), _SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"nothing answers at {address!r} ({error}); start a cluster there with ray start --head, "
            "or give --ray local for this machine alone",
            "ray",
        ) from None


class Fleet:
    """The actors of one set-up; the first says what all of them are.

    most: how many at once. idle: those that have loaded and wait. loading: what is waited for, and of which actor.
    """

    manifest: dict[str, Any]
    most: int

    def __init__(self, ray: Any, how: Loading) -> None:
        self._ray, self._how = ray, how
        self._first: Any = None
        self._alive: set[Any] = set()
        self.idle: list[Any] = []
        self.loading: list[tuple[Any, Any]] = []
        self._failed = 0  # actors in a row that could not load

    def start(self) -> None:
        """Load the pair in one actor: the others take its dtype, and must be its like."""
        self._share, self.most = self._room()
        for attempt in range(1, TRIES + 1):
            self._first = self._actor()
            try:
                self.manifest = self._got(self._first.load.remote(self._how))
                break
            except self._ray.exceptions.RayActorError as error:
                self._alive.discard(self._first)
                if attempt == TRIES:
                    raise InputError(
                        f"the pair cannot be loaded on the cluster: {TRIES} actors have died ({_cause(error)})", "ray"
                    ) from None
        self.idle.append(self._first)
        self._how = replace(self._how, dtype=str(self.manifest["dtype"]))

    def stop(self) -> None:
        for actor in list(self._alive):
            self._end(actor)

    def _end(self, actor: Any) -> None:
        self._alive.discard(actor)
        self._ray.kill(actor)

    def usable(self, found: PromptSet, of: Experiment, max_tokens: int) -> Usable:
        usable: Usable = self._got(self._first.usable.remote(found, of, max_tokens))
        return usable

    def run_set(
        self, used: Sequence[Used], plan: Plan, kept: Kept, progress: Callable[[SoFar], None] = no_progress
    ) -> None:
        """As `core.sets.running.run_set`."""
        gather(used, kept, self._run(parts_of(used, kept), plan), progress)

    def _run(self, parts: list[Part], plan: Plan) -> Iterator[list[tuple[str, Values]]]:
        left, tries = list(reversed(range(len(parts)))), [0] * len(parts)
        # What is asked of an actor: its part, or None while it loads.
        asked: dict[Any, tuple[Any, int | None]] = {reference: (actor, None) for reference, actor in self.loading}
        idle, self.idle = self.idle, []

        def give(actor: Any) -> None:
            if left:
                part = left.pop()
                asked[actor.run.remote(parts[part], plan)] = actor, part
            else:
                self.idle.append(actor)

        def add() -> None:
            if len(self._alive) < min(self.most, len(parts)):
                actor = self._actor()
                asked[actor.load.remote(self._how)] = actor, None

        for actor in idle[: self.most]:
            give(actor)
        self.idle += idle[self.most :]
        for _ in parts:
            add()
        try:
            while left or any(part is not None for _, part in asked.values()):
                (ready,), _ = self._ray.wait(list(asked), num_returns=1)
                actor, part = asked.pop(ready)
                try:
                    found = self._got(ready)
                except self._ray.exceptions.RayActorError as error:
                    self._alive.discard(actor)
                    self._missed(error, part, parts, tries)
                    left += [] if part is None else [part]
                    # One that cannot load is not replaced as long as others can.
                    if part is not None or not asked:
                        add()
                    continue
                if part is None:
                    self._check_alike(found)
                    self._failed = 0
                give(actor)
                if part is not None:
                    yield from found
        finally:
            self.loading = [(reference, actor) for reference, (actor, part) in asked.items() if part is None]
            for actor in (actor for actor, part in asked.values() if part is not None):
                self._end(actor)

    def _missed(self, error: Exception, part: int | None, parts: list[Part], tries: list[int]) -> None:
        """An actor has died: with a part, or while it loaded. An `InputError` after three of them."""
        what = "while it loaded the pair" if part is None else f"of {parts[part].rows[0].entry.id}"
        count = self._failed = self._failed + 1
        if part is not None:
            self._failed = 0
            count = tries[part] = tries[part] + 1
        if count == TRIES:
            raise InputError(f"{TRIES} actors have died {what} ({_cause(error)})", "ray") from None

    def _room(self) -> tuple[dict[str, float], int]:
        """What an actor takes of the cluster, and how many of them there is room for."""
        has = self._ray.cluster_resources()
        kind = self._how.device.partition(":")[0]
        # On its machine an actor sees its own GPU alone, as the first.
        self._how = replace(self._how, device=kind)
        if has.get("GPU", 0) >= 1 and kind != "cpu":
            return {"num_gpus": 1, "num_cpus": 0}, int(has["GPU"])
        threads = self._how.threads or 1
        self._how = replace(self._how, threads=threads)
        if kind == "cuda":
            raise InputError("no machine of the cluster has a GPU; choose --device cpu or auto", "device")
        if has.get("CPU", 0) < threads:
            raise InputError(
                f"an actor takes {threads} CPUs, the whole cluster has {has.get('CPU', 0):.0f}; set REPHRASE_THREADS",
                "ray",
            )
        return {"num_cpus": threads}, int(has["CPU"] // threads)

    def _actor(self) -> Any:
        actor = self._ray.remote(Actor).options(**self._share, max_restarts=0).remote()
        self._alive.add(actor)
        return actor

    def _check_alike(self, manifest: dict[str, Any]) -> None:
        if other := [name for name in self.manifest if manifest.get(name) != self.manifest[name]]:
            raise InputError(
                f"the machines of the cluster differ in {other[0]}: {shorten(str(self.manifest[other[0]]))} against "
                f"{shorten(str(manifest.get(other[0])))}; numbers from both are not of one set",
                "ray",
            )

    def _got(self, reference: Any) -> Any:
        found = self._ray.get(reference)
        if isinstance(found, Refused):
            raise InputError(found.message, found.field)
        return found


def _cause(error: Exception) -> str:
    return shorten(" ".join(str(error).split()), 160)
