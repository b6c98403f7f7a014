"""The last day's requests in figures. Reads 24 hours of the ledger and never more."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

# A busier ledger than this can be read in time shows no figures rather than wait.
TIMEOUT_MS = 4000
WINDOW = "created_at >= now() - interval '24 hours'"

FIGURES = f"""
SELECT date_trunc('hour', created_at AT TIME ZONE 'utc') AS hour,
       created_at >= date_trunc('day', now(), 'utc') AS today,
       count(*), sum(cost_usd),
       count(*) FILTER (WHERE status <> 'ok'), count(*) FILTER (WHERE cached),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms)
           FILTER (WHERE status = 'ok')
FROM llm_usage WHERE {WINDOW}
GROUP BY GROUPING SETS ((1), (2), ())
"""  # noqa: S608 (constants of this file)

SPENDERS = f"""
SELECT customer_id, min(user_id), min(team), sum(cost_usd), count(*)
FROM llm_usage WHERE {WINDOW}
GROUP BY customer_id ORDER BY 4 DESC, 5 DESC LIMIT %s
"""  # noqa: S608 (constants of this file)


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests of some span; `p95_ms` is None where none was answered."""

    requests: int = 0
    spend_usd: Decimal = Decimal(0)
    failed: int = 0
    cached: int = 0
    p95_ms: int | None = None

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
    """What one customer spent."""

    customer_id: str
    user_id: str
    team: str
    spend_usd: Decimal
    requests: int


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last 24 hours: as a whole, since midnight UTC, and by the hour."""

    whole: Figures
    today: Figures
    hours: list[tuple[dt.datetime, Figures]]
    spenders: list[Spender]


def last_day(spenders: int = 6) -> LastDay:
    """Sum up the last 24 hours. Raises DatabaseError where it takes too long."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
        cursor.execute(FIGURES)
        rows = cursor.fetchall()
        cursor.execute(SPENDERS, [spenders])
        top = [Spender(str(row[0]), *row[1:]) for row in cursor.fetchall()]
        cursor.execute("SELECT now() AT TIME ZONE 'utc'")
        now = cursor.fetchone()[0]
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
    by_hour = {hour: _figures(rest) for hour, _, *rest in rows if hour}
    by_day = {today: _figures(rest) for hour, today, *rest in rows if not hour}
    return LastDay(
        whole=by_day.get(None, Figures()),
        today=by_day.get(True, Figures()),
        hours=_every_hour(by_hour, now),
        spenders=top,
    )


def _figures(row: list[Any]) -> Figures:
    requests, spend, failed, cached, p95 = row
    return Figures(requests, spend or Decimal(0), failed, cached, p95)


def _every_hour(
    by_hour: dict[dt.datetime, Figures], now: dt.datetime
) -> list[tuple[dt.datetime, Figures]]:
    """Hours without a request are hours too."""
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - dt.timedelta(hours=back) for back in range(23, -1, -1)]
    return [(hour, by_hour.get(hour, Figures())) for hour in hours]
