"""Reads figures of the last hour, day, week or month from the ledger, refusals and jobs.

The last hour is read from the requests themselves, by the minute; longer spans from the
rollups, by the hour or day. The time of a request is that at which it was settled.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from django.db.models import Count
from django.db.models.functions import Trunc
from django.utils import timezone

from billing.models import RollupState
from billing.usage.levels import LEVELS
from billing.usage.reports import SHARES, UsageFigures
from billing.usage.sums import COUNTED, LATENCY, SUMMED, quantile
from llm.alerts.error_rate import FAILED
from llm.models import Job
from valuecanvas.core.db.statement_timeout import limited_cursor
from valuecanvas.core.errors import SERVER_CODES

TIMEOUT_MS = 10_000
MINUTE, HOUR, DAY = (dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1))  # fmt: skip
_NAMES = {MINUTE: "minute", HOUR: "hour", DAY: "day"}
_MINUTES = f"""(
    SELECT date_trunc('minute', created_at, 'UTC') AS start, provider,
           {", ".join(f"{sql} AS {name}" for name, sql in COUNTED.items())},
           {LATENCY} AS latency
    FROM llm_usage WHERE created_at >= %(start)s GROUP BY 1, 2
) AS found"""  # noqa: S608 - names of this project
# The fewest rows that have the provider.
_LEVEL = next(
    one.number for one in LEVELS if one.grain == "hour" and "provider" in one.columns
)
_HOURS = """(
    SELECT * FROM billing_usage_hour WHERE level = %(level)s AND start >= %(start)s
) AS found"""
_SUMS = f"SELECT start, provider, {', '.join(f'sum({name})' for name in SUMMED)} FROM %s GROUP BY 1, 2"  # noqa: S608 - names of this project
_LATENCY = """
SELECT date_trunc(%%(step)s, start, 'UTC'), one >> 32, sum(one & 4294967295)::bigint
FROM %s, unnest(latency) AS one GROUP BY 1, 2"""
# With the condition of the index of those that are not 'ok'.
_FAILED = f"""
SELECT date_trunc(%(step)s, created_at, 'UTC'), count(*) FROM llm_usage AS u
WHERE created_at >= %(start)s AND NOT (status = 'ok') AND {FAILED} GROUP BY 1"""  # noqa: S608 - a constant
# All refusals: those that are kept whole, and those that were only counted.
_REFUSED = """
SELECT date_trunc(%(step)s, at, 'UTC'), code, code = ANY(%(ours)s), sum(count)::bigint
FROM (
    SELECT created_at AS at, code, 1 AS count FROM billing_refusal
    WHERE created_at >= %(start)s
    UNION ALL
    SELECT minute, code, count FROM billing_refusal_count WHERE minute >= %(start)s
) AS found GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A choice of time: `steps` of the length `step`, the current one among them.

    `counted` is the length of time for which the sums are read.
    """

    title: str
    step: dt.timedelta
    steps: int
    counted: dt.timedelta = HOUR

    @property
    def step_name(self) -> str:
        return _NAMES[self.step]

    @property
    def counted_name(self) -> str:
        return _NAMES[self.counted]

    def starts(self, now: dt.datetime) -> list[dt.datetime]:
        """The beginnings of its steps, in UTC."""
        last = floor(now, self.step)
        return [last - back * self.step for back in reversed(range(self.steps))]


SPANS: Mapping[str, TimeSpan] = MappingProxyType(
    {
        "hour": TimeSpan("Last hour", MINUTE, 60, MINUTE),
        "day": TimeSpan("24 hours", HOUR, 24),
        "week": TimeSpan("7 days", HOUR, 168),
        "month": TimeSpan("30 days", DAY, 30),
    }
)
USUAL = "day"


@dataclass(slots=True)
class StepFigures:
    """The figures of one step of a span."""

    usage: UsageFigures = field(default_factory=UsageFigures)
    # Requests that failed for a reason of ours or of a provider.
    errors: int = 0
    # Requests that were refused with 5xx, and with 4xx.
    refused_by_us: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of a span that ends at `at`.

    `until` is up to when the ledger was summed up; None: never, or it was not needed.
    `busiest` is the most requests in one `span.counted`; `overloaded` the requests that
    were refused since a process had no room.
    """

    span: TimeSpan
    at: dt.datetime
    until: dt.datetime | None
    total: StepFigures
    steps: Mapping[dt.datetime, StepFigures]
    providers: Mapping[str, Counter[dt.datetime]]
    jobs: Mapping[str, Counter[dt.datetime]]
    busiest: int
    overloaded: int

    @property
    def asked(self) -> int:
        """All requests but those refused for a fault of their caller."""
        return self.total.usage.requests + self.total.refused_by_us

    @property
    def error_share(self) -> float | None:
        failed = self.total.errors + self.total.refused_by_us
        return failed / self.asked if self.asked else None

    @property
    def cached_share(self) -> float | None:
        usage = self.total.usage
        return usage.cached / usage.requests if usage.requests else None

    @property
    def busiest_per_s(self) -> float:
        return self.busiest / self.span.counted.total_seconds()


def floor(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """The beginning of the minute, hour or day (UTC) that `moment` is in."""
    zero = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return moment - (moment - zero) % step


def measure(span: TimeSpan, now: dt.datetime | None = None) -> Performance:
    """Read the figures of a span. Raises DatabaseError where it takes too long."""
    now = now or timezone.now()
    steps = {start: StepFigures() for start in span.starts(now)}
    total = StepFigures()
    query = _Query(span, next(iter(steps)))
    providers, busiest = query.add_sums(steps, total)
    query.add_errors(steps, total)
    overloaded = query.add_refused(steps, total)
    return Performance(
        span=span,
        at=now,
        until=None if span.step == MINUTE else RollupState.objects.values_list("until", flat=True).first(),
        total=total,
        steps=steps,
        providers=providers,
        jobs=query.jobs(),
        busiest=busiest,
        overloaded=overloaded,
    )  # fmt: skip


class _Query:
    """The queries of a span from `start` on."""

    def __init__(self, span: TimeSpan, start: dt.datetime) -> None:
        self._span = span
        self._values: dict[str, Any] = {
            "start": start,
            "step": span.step_name,
            "level": _LEVEL,
            "ours": sorted(SERVER_CODES),
        }
        self._source = _MINUTES if span.step == MINUTE else _HOURS

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with limited_cursor(TIMEOUT_MS) as cursor:
            cursor.execute(statement, self._values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def add_sums(
        self, steps: dict[dt.datetime, StepFigures], total: StepFigures
    ) -> tuple[dict[str, Counter[dt.datetime]], int]:
        """Fill in `usage`. Returns the requests by provider, and the busiest moment's."""
        sums: dict[dt.datetime, Counter[str]] = defaultdict(Counter)
        whole: Counter[str] = Counter()
        providers: dict[str, Counter[dt.datetime]] = defaultdict(Counter)
        moments: Counter[dt.datetime] = Counter()
        for start, provider, *values in self._rows(_SUMS % self._source):
            found = dict(zip(SUMMED, values, strict=True))
            step = floor(start, self._span.step)
            # Not `+`, which would drop what corrections made negative.
            sums[step].update(found)
            whole.update(found)
            providers[provider][step] += int(found["requests"])
            moments[start] += int(found["requests"])
        latency = self._latency()
        for start, one in steps.items():
            one.usage = _figures(sums[start], latency[start])
        total.usage = _figures(whole, sum(latency.values(), Counter()))
        return providers, max(moments.values(), default=0)

    def _latency(self) -> dict[dt.datetime, Counter[int]]:
        found: dict[dt.datetime, Counter[int]] = defaultdict(Counter)
        for start, number, count in self._rows(_LATENCY % self._source):
            found[start][number] = count
        return found

    def add_errors(
        self, steps: dict[dt.datetime, StepFigures], total: StepFigures
    ) -> None:
        for start, count in self._rows(_FAILED):
            total.errors += count
            if start in steps:
                steps[start].errors = count

    def add_refused(
        self, steps: dict[dt.datetime, StepFigures], total: StepFigures
    ) -> int:
        """Returns the requests that were refused for overload."""
        overloaded = 0
        for start, code, ours, count in self._rows(_REFUSED):
            name = "refused_by_us" if ours else "refused"
            overloaded += count if code == "overloaded" else 0
            for one in (total, steps.get(start, StepFigures())):
                setattr(one, name, getattr(one, name) + count)
        return overloaded

    def jobs(self) -> dict[str, Counter[dt.datetime]]:
        """The jobs that ended, by state."""
        rows = Job.objects.filter(finished_at__gte=self._values["start"]).order_by()
        step = Trunc("finished_at", self._span.step_name, tzinfo=dt.UTC)
        found: dict[str, Counter[dt.datetime]] = defaultdict(Counter)
        counts = rows.values("state", start=step).annotate(count=Count("*"))
        for state, start, count in counts.values_list("state", "start", "count"):
            found[state][start] = count
        return found


def _figures(sums: Mapping[str, Any], latency: Mapping[int, int]) -> UsageFigures:
    values: dict[str, Any] = {
        name: value if name.endswith("_usd") else int(value)
        for name, value in sums.items()
    }
    buckets = sorted(latency.items())
    return UsageFigures(
        **values, latency_ms=tuple(quantile(buckets, one) for one in SHARES)
    )
