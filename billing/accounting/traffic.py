"""The last day's requests in figures. Reads 24 hours of the ledger and never more."""

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from billing.models import Customer
from valuecanvas.core.db.statement_timeout import limited_cursor

# A ledger too busy to be summed in time shows no figures rather than wait.
TIMEOUT_MS = 5000
# Sorting a whole day's latencies would cost more than all the rest.
LATENCIES = 20_000
HOURS = 24

# One pass over the day. Both kinds of row come from its result: hours, and customers.
SUMS = """
WITH part AS MATERIALIZED (
    SELECT customer_id, date_trunc('hour', created_at AT TIME ZONE 'utc') AS hour,
           count(*) FILTER (WHERE status <> 'correction') AS requests,
           sum(cost_usd) AS spend,
           count(*) FILTER (WHERE status NOT IN ('ok', 'correction')) AS failed,
           count(*) FILTER (WHERE cached) AS cached, sum(saved_usd) AS saved
    FROM llm_usage WHERE created_at >= now() - interval '24 hours'
    GROUP BY 1, 2
)
SELECT hour, NULL, sum(requests)::bigint, sum(spend), sum(failed)::bigint,
       sum(cached)::bigint, sum(saved)
FROM part GROUP BY hour
UNION ALL (
    SELECT NULL, customer_id, sum(requests)::bigint, sum(spend), 0, 0, 0
    FROM part GROUP BY customer_id ORDER BY 4 DESC, 3 DESC LIMIT %s
)
"""
P95 = """
SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms) FROM (
    SELECT latency_ms FROM llm_usage
    WHERE created_at >= now() - interval '24 hours' AND status = 'ok'
    ORDER BY created_at DESC LIMIT %s
) AS newest
"""


@dataclass(frozen=True, slots=True)
class TrafficFigures:
    """The totals of a span of time."""

    requests: int = 0
    spend_usd: Decimal = Decimal(0)
    failed: int = 0
    cached: int = 0
    # By answers from the cache.
    saved_usd: Decimal = Decimal(0)

    @property
    def failed_percent(self) -> float:
        return self._share(self.failed)

    @property
    def cached_percent(self) -> float:
        return self._share(self.cached)

    def _share(self, part: int) -> float:
        return round(100 * part / self.requests, 1) if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Spender:
    """What one customer spent. A deleted customer is named by its id."""

    customer_id: str
    user_id: str
    team: str
    spend_usd: Decimal
    requests: int


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last 24 hours: as a whole, since midnight UTC, and by the hour.

    `p95_ms` is of the newest LATENCIES answers; None where there was none.
    """

    whole: TrafficFigures
    today: TrafficFigures
    p95_ms: int | None
    hours: list[tuple[dt.datetime, TrafficFigures]] = field(default_factory=list)
    spenders: list[Spender] = field(default_factory=list)


def last_day(spenders: int = 6) -> LastDay:
    """Sum up the last 24 hours. Raises DatabaseError where it takes too long."""
    with limited_cursor(TIMEOUT_MS) as cursor:
        cursor.execute(SUMS, [spenders])
        rows = cursor.fetchall()
        cursor.execute(P95, [LATENCIES])
        p95 = cursor.fetchone()[0]
        cursor.execute("SELECT now() AT TIME ZONE 'utc'")
        now = cursor.fetchone()[0]
    by_hour = {hour: TrafficFigures(*rest) for hour, _, *rest in rows if hour}
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return LastDay(
        whole=_sum(by_hour.values()),
        today=_sum(one for hour, one in by_hour.items() if hour >= midnight),
        p95_ms=p95,
        hours=_every_hour(by_hour, now),
        spenders=_top_spenders([row[1:4] for row in rows if row[1]]),
    )


def _sum(parts: Iterable[TrafficFigures]) -> TrafficFigures:
    parts = list(parts)
    return TrafficFigures(
        requests=sum(one.requests for one in parts),
        spend_usd=sum((one.spend_usd for one in parts), Decimal(0)),
        failed=sum(one.failed for one in parts),
        cached=sum(one.cached for one in parts),
        saved_usd=sum((one.saved_usd for one in parts), Decimal(0)),
    )


def _every_hour(
    by_hour: dict[dt.datetime, TrafficFigures], now: dt.datetime
) -> list[tuple[dt.datetime, TrafficFigures]]:
    """All hours, those without a request too."""
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - dt.timedelta(hours=back) for back in reversed(range(HOURS))]
    return [(hour, by_hour.get(hour, TrafficFigures())) for hour in hours]


def _top_spenders(rows: list[tuple[uuid.UUID, int, Decimal]]) -> list[Spender]:
    customers: dict[Any, Customer] = Customer.objects.in_bulk([row[0] for row in rows])
    spenders = []
    for customer_id, requests, spend in rows:
        known = customers.get(customer_id)
        spenders.append(
            Spender(
                customer_id=str(customer_id) if known else "",
                user_id=known.user_id if known else str(customer_id),
                team=(known.team_id or "") if known else "",
                spend_usd=spend,
                requests=requests,
            )
        )
    return sorted(spenders, key=lambda one: (-one.spend_usd, -one.requests))
