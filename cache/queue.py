"""Who waits for which job, and whose turn it is. No thread and no lock: the worker brings both.

Higher priority first. Within one priority viewers take turns, so that one with twenty jobs does not keep the others
waiting: each job gets a round when it is asked for, two after its owner's last one; a newcomer's is one after the round
that runs, before anybody's next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from cache.job import Job, State


def session_of(owner: Hashable) -> Hashable:
    """The viewer that an owner is, or is a part of: (viewer, part)."""
    return owner[0] if isinstance(owner, tuple) else owner


class Queue:
    """The unfinished jobs by key, in the order of asking. A job that no owner waits for any more ends as cancelled."""

    def __init__(self, ended: Callable[[Job], None] = lambda job: None) -> None:
        """ended: told of each job that ends here."""
        self._ended = ended
        self._jobs: dict[Hashable, Job] = {}
        self._rounds: dict[int, int] = {}

    def queued(self) -> list[Job]:
        """In the order in which they will run; sorting is stable, so that one round keeps the order of asking."""
        waiting = (job for job in self._jobs.values() if job.state == "queued")
        return sorted(waiting, key=lambda job: (-job.priority, job._turn))

    def place(self, job: Job) -> int:
        queued = self.queued()
        return queued.index(job) if job in queued else 0

    def under_way(self, key: Hashable) -> bool:
        return key in self._jobs

    def owners(self) -> set[Hashable]:
        return {owner for job in self._jobs.values() for owner in job._interest}

    def sessions(self) -> list[set[Hashable]]:
        """Of each unfinished job, who waits for it."""
        return [{session_of(owner) for owner in job._interest} for job in self._jobs.values()]

    def look_at(self, owner: Hashable, group: Hashable, key: Hashable) -> None:
        """End this owner's interest in every job that does not belong to `group`, but for the one named `key`."""
        for job in list(self._jobs.values()):
            if job.key != key and owner in job._interest and not job._interest[owner](group):
                self.lose(job.key, owner)

    def ask(
        self,
        key: Hashable,
        run: Callable[[Any], Any],
        owner: Hashable,
        belongs: Callable[[Hashable], bool],
        priority: int,
        place: Callable[[Job], int],
    ) -> Job:
        """The job under `key`, new or under way, with one more owner waiting for it as long as it `belongs`."""
        job = self._jobs.get(key)
        if job is None:
            turn = self._turn(owner, priority)
            job = self._jobs[key] = Job(key, run, priority, place)
            job._turn = turn
        elif job.state == "queued" and (owner not in job._interest or priority > job.priority):
            self._hasten(job, owner, priority)
        job._interest[owner] = belongs
        return job

    def lose(self, key: Hashable, owner: Hashable) -> None:
        """A running job stops at its next checkpoint when nobody waits; until then, asking again keeps it."""
        job = self._jobs.get(key)
        if job is None or owner not in job._interest:
            return
        del job._interest[owner]
        if not job._interest and (job.state == "queued" or job._aside):
            self.end(job, "cancelled")

    def release(self, owner: Hashable) -> None:
        for key in list(self._jobs):
            self.lose(key, owner)

    def start(self, job: Job) -> None:
        job.state = "running"
        self._rounds[job.priority] = max(self._rounds.get(job.priority, 0), job._turn)

    def postpone(self, job: Job) -> None:
        """Back in the queue, from now on only to run on its own."""
        job._clock(running=False)
        job.state, job._nests = "queued", False
        if not job._interest:
            self.end(job, "cancelled")

    def let_others(self, job: Job) -> None:
        """Back in the queue, behind all of its priority."""
        job._clock(running=False)
        job.state = "queued"
        job._turn = 1 + max((each._turn for each in self._jobs.values() if each.priority == job.priority), default=0)
        if not job._interest:
            self.end(job, "cancelled")

    def others_wait(self, job: Job) -> bool:
        """Whether others than its owners wait for a job of its priority."""
        return any(
            each.priority == job.priority and not each._interest.keys() & job._interest.keys() for each in self.queued()
        )

    def set_aside(self, job: Job) -> None:
        """Out of the queue until `come_back`, as a job that runs, though not here."""
        job._aside = True
        if not job._interest:
            self.end(job, "cancelled")

    def come_back(self, job: Job) -> None:
        job._clock(running=False)
        job.state, job._aside = "queued", False

    def end(self, job: Job, state: State) -> None:
        del self._jobs[job.key]
        job._interest.clear()
        job._end(state)
        self._ended(job)

    def _turn(self, owner: Hashable, priority: int) -> int:
        session = session_of(owner)
        own = [
            job._turn
            for job in self._jobs.values()
            if job.priority == priority and any(session_of(each) == session for each in job._interest)
        ]
        return max(self._rounds.get(priority, 0) + 1, max(own, default=-1) + 2)

    def _hasten(self, job: Job, owner: Hashable, priority: int) -> None:
        """The highest priority, and the best turn, of those who wait for it."""
        turn = self._turn(owner, max(priority, job.priority))
        job._turn = turn if priority > job.priority else min(turn, job._turn)
        job.priority = max(priority, job.priority)
