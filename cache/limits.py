"""What one viewer may ask of a public demo, so that everybody's questions are answered.

What is refused is an answer too: a job that has failed of a `Refused`, which says why, and when to come back.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass

from core.settings import Settings

HOUR = 3600.0  # seconds


class Refused(Exception):
    """What may not be asked now, or takes too long: a sentence for the viewer."""


@dataclass(frozen=True)
class Limits:
    """jobs, jobs_address: unfinished ones of one session, and of one address; seconds: that one may compute; sweeps: an
    hour from one address. 0 sets no limit."""

    jobs: int = 0
    jobs_address: int = 0
    seconds: int = 0
    sweeps: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The settings' on a public demo; elsewhere nothing is limited."""
        if not settings.hosted:
            return cls()
        return cls(settings.max_jobs, settings.max_jobs_address, settings.max_seconds, settings.max_sweeps)


class Gate:
    """Who has asked for how much; `address(session)` says where a session is. Called from any thread."""

    def __init__(
        self,
        limits: Limits,
        address: Callable[[Hashable], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._limits, self._address, self._clock = limits, address, clock
        self._lock = threading.Lock()
        self._sweeps: dict[str, deque[float]] = {}

    def pass_(self, session: Hashable, unfinished: Sequence[Set[Hashable]], sweep: bool) -> None:
        """Let one more question of a session through, or raise `Refused`.

        unfinished: the sessions that wait for each unfinished job. sweep: whether it is one, or a set of prompts.
        """
        address, most = self._address(session), self._limits
        own = sum(session in sessions for sessions in unfinished)
        if most.jobs and own >= most.jobs:
            raise Refused(_waiting(own, "This tab"))
        at_address = sum(any(self._address(one) == address for one in sessions) for sessions in unfinished)
        if most.jobs_address and at_address >= most.jobs_address:
            raise Refused(_waiting(at_address, "Your address"))
        if sweep and most.sweeps:
            self._count(address)

    def _count(self, address: str) -> None:
        now = self._clock()
        with self._lock:
            for known in list(self._sweeps):
                while self._sweeps[known] and self._sweeps[known][0] <= now - HOUR:
                    self._sweeps[known].popleft()
                if not self._sweeps[known]:
                    del self._sweeps[known]
            asked = self._sweeps.setdefault(address, deque())
            if len(asked) >= self._limits.sweeps:
                minutes = math.ceil((asked[0] + HOUR - now) / 60)
                sweeps = "a sweep" if len(asked) == 1 else f"{len(asked)} sweeps"
                raise Refused(
                    f"Your address has asked for {sweeps} within an hour, as many as this demo computes for each; "
                    f"come back in {minutes} minute{'s' if minutes != 1 else ''}."
                )
            asked.append(now)


def _waiting(count: int, whose: str) -> str:
    waiting, one = ("a question", "it") if count == 1 else (f"{count} questions", "one of them")
    return f"{whose} has {waiting} waiting already, as many as this demo takes; come back when {one} is answered."


def took_too_long(seconds: int) -> Refused:
    unit = "second" if seconds == 1 else "seconds"
    return Refused(
        f"This has computed for {seconds} {unit}, as long as one question may on this demo; what it had by then is "
        "shown. Ask for less, for END in place of all positions say, or run the app on a machine of your own."
    )
