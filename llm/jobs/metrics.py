"""Figures of the queue, from the database: for the admin, REST and Prometheus."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Min, Q
from django.db.models.functions import TruncMinute
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily

from llm.models import Job, JobPause, JobState, JobWorker
from llm.models.job import OPEN
from valuecanvas.core.telemetry.database_metrics import DatabaseMetrics, Family

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
MOST_MINUTES = 60
# A worker that was not seen for this long is gone.
LOST = dt.timedelta(seconds=15)
MOST_REASONS = 20
# What a job waits for whose owner has reached a limit.
LIMITS = ("insufficient_quota", "budget_exceeded", "rate_limit_exceeded")


@dataclass(frozen=True, slots=True)
class JobCount:
    """The jobs of one type in one state; of those that are queued some are of interest."""

    type: str
    state: str
    count: int
    # Queued again after a failed attempt, and until a limit of their owner resets.
    retries: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """The jobs that ended in one minute in one state."""

    minute: dt.datetime
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class FailureReason:
    error_code: str
    count: int


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The queue at one moment: open jobs and dead letters, and the last hour."""

    at: dt.datetime
    depth: list[JobCount]
    oldest_seconds: float
    ended: list[Ended]
    # Of the last day, the most frequent first.
    failures: list[FailureReason]
    workers: list[JobWorker]
    paused: list[JobPause]

    def count(self, state: str) -> int:
        return sum(one.count for one in self.depth if one.state == state)

    @property
    def retries(self) -> int:
        return sum(one.retries for one in self.depth)

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in self.depth)

    @property
    def dead(self) -> int:
        return self.count(JobState.DEAD)

    def per_minute(self, minutes: int) -> float:
        """Jobs that ended a minute, over the last `minutes` of the clock."""
        since = first_minute(self.at, minutes)
        ended = sum(one.count for one in self.ended if one.minute >= since)
        return round(ended / ((self.at - since) / MINUTE), 2)


def first_minute(at: dt.datetime, minutes: int) -> dt.datetime:
    """The beginning of the last `minutes` of the clock, the current one among them."""
    return at.replace(second=0, microsecond=0) - (minutes - 1) * MINUTE


def queue_figures() -> QueueFigures:
    """All figures, by eight queries."""
    now = timezone.now()
    return QueueFigures(
        at=now,
        depth=count_jobs(),
        oldest_seconds=oldest_seconds(now),
        ended=_count_ended(now),
        failures=_count_failures(now),
        workers=live_workers(now),
        paused=list(JobPause.objects.order_by("type")),
    )


def count_jobs() -> list[JobCount]:
    """The open jobs and the dead letters, by type and state."""
    queued = Q(state=JobState.QUEUED)
    found: list[JobCount] = []
    # Apart, since each has an index of its own.
    for states in (OPEN, (JobState.DEAD,)):
        rows = Job.objects.filter(state__in=states).order_by("type", "state")
        counts = rows.values("type", "state").annotate(
            count=Count("*"),
            retries=Count("pk", filter=queued & Q(attempts__gt=0)),
            waiting=Count("pk", filter=queued & Q(error_code__in=LIMITS)),
        )
        found += (JobCount(**one) for one in counts)
    return found


def oldest_seconds(now: dt.datetime) -> float:
    """How long the oldest queued job waits whose time has come; 0 without one.

    Lines of a batch count once they are among its next ones. Paused types do not count.
    """
    paused = JobPause.objects.values("type")
    queued = Job.objects.filter(state=JobState.QUEUED).exclude(type__in=paused)
    # Workers make jobs due: without a worker nobody does.
    unseen = queued.filter(due=False, batch=None).order_by("run_at")
    moments = [
        queued.filter(due=True).order_by().aggregate(first=Min("run_at"))["first"],
        unseen.values_list("run_at", flat=True).first(),
    ]
    ages = [(now - one).total_seconds() for one in moments if one is not None]
    return max(ages, default=0.0)


def live_workers(now: dt.datetime) -> list[JobWorker]:
    rows = JobWorker.objects.filter(seen_at__gt=now - LOST)
    return list(rows.order_by("host", "pid"))


def _count_ended(now: dt.datetime) -> list[Ended]:
    since = first_minute(now, MOST_MINUTES)
    rows = Job.objects.filter(finished_at__gte=since).order_by()
    counts = rows.values("state", minute=TruncMinute("finished_at"))
    found = counts.annotate(count=Count("*")).order_by("minute", "state")
    return [Ended(**one) for one in found]


def _count_failures(now: dt.datetime) -> list[FailureReason]:
    rows = Job.objects.filter(
        finished_at__gt=now - DAY, state__in=(JobState.FAILED, JobState.DEAD)
    ).order_by()
    counts = rows.values("error_code").annotate(count=Count("*"))
    found = counts.order_by("-count", "error_code")[:MOST_REASONS]
    return [FailureReason(**one) for one in found]


class QueueCollector(DatabaseMetrics):
    """The queue of jobs, which workers run."""

    def describe(self) -> list[Family]:
        return [
            GaugeMetricFamily(
                "valuecanvas_jobs_oldest_seconds",
                "How long the oldest job has waited whose time has come.",
            ),
            GaugeMetricFamily(
                "valuecanvas_jobs",
                "Queued and running jobs.",
                labels=("state", "type"),
            ),
            GaugeMetricFamily("valuecanvas_jobs_dead", "Dead letters."),
            GaugeMetricFamily("valuecanvas_job_workers", "Workers of jobs."),
            GaugeMetricFamily(
                "valuecanvas_job_slots", "Jobs that they can run at once."
            ),
        ]

    def read(self) -> Iterator[Family]:
        now = timezone.now()
        age, counts, workers = oldest_seconds(now), count_jobs(), live_workers(now)
        oldest, jobs, dead, alive, slots = self.describe()
        oldest.add_metric([], age)
        for one in counts:
            if one.state in OPEN:
                jobs.add_metric([one.state, one.type], one.count)
        letters = (one.count for one in counts if one.state == JobState.DEAD)
        dead.add_metric([], sum(letters))
        alive.add_metric([], len(workers))
        slots.add_metric([], sum(one.slots for one in workers))
        yield from (oldest, jobs, dead, alive, slots)
