"""What this server does, as Prometheus reads it: jobs, waits, what was found without computing, memory.

Nothing of what anybody has typed is a label: questions are named by their kind.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Literal

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cache.job import Job

if TYPE_CHECKING:
    from cache.service import Service

Found = Literal["memory", "disk", "under way", "no"]
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class Metrics:
    """The counts of one service; those of a moment are taken when somebody reads them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._asked = Counter(
            "rephrase_questions",
            "Questions asked by pages, by where their answer was found.",
            ["question", "found"],
            registry=self.registry,
        )
        self._refused = Counter("rephrase_refused", "Questions that a limit refused.", registry=self.registry)
        self._ended = Counter(
            "rephrase_jobs", "Jobs that have ended, by outcome.", ["question", "outcome"], registry=self.registry
        )
        self._waited = Histogram(
            "rephrase_job_wait_seconds", "From asking to running.", buckets=_SECONDS, registry=self.registry
        )
        self._took = Histogram(
            "rephrase_job_seconds", "That a job ran.", ["question"], buckets=_SECONDS, registry=self.registry
        )

    def asked(self, question: str, found: Found) -> None:
        self._asked.labels(question, found).inc()

    def refused(self) -> None:
        self._refused.inc()

    def ended(self, job: Job) -> None:
        question = _kind(job.key)
        self._ended.labels(question, job.state).inc()
        self._waited.observe(job.waited)
        if job.state == "done":
            self._took.labels(question).observe(job.seconds)

    def text(self, service: Service, sessions: int) -> bytes:
        """Everything, and what the service holds at the moment; sessions: how many are open."""
        now = CollectorRegistry()
        now.register(_Now(service, sessions))
        return bytes(generate_latest(self.registry) + generate_latest(now))


class _Now(Collector):
    def __init__(self, service: Service, sessions: int):
        self._service, self._sessions = service, sessions

    def collect(self) -> Iterator[Metric]:
        worker = self._service.worker.status()
        yield GaugeMetricFamily("rephrase_sessions", "Open sessions.", self._sessions)
        yield GaugeMetricFamily("rephrase_jobs_queued", "Jobs that wait.", worker.queued)
        yield GaugeMetricFamily("rephrase_jobs_running", "Jobs that run, one within another.", len(worker.running))
        cpu = self._service.worker.cpu_seconds
        yield CounterMetricFamily("rephrase_models_cpu_seconds", "CPU time of the thread that computes.", cpu)
        memory = GaugeMetricFamily("rephrase_memory_bytes", "Memory, by what takes it.", labels=["of"])
        memory.add_metric(["process"], psutil.Process().memory_info().rss)
        memory.add_metric(["answers"], worker.kept_bytes)
        pairs = self._service.stages.residents.snapshot()
        memory.add_metric(["models"], sum(resident.bytes for resident in pairs))
        yield memory


def _kind(key: Hashable) -> str:
    return str(key[0]) if isinstance(key, tuple) and key else str(key)
