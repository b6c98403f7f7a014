"""The steady state: figures of those whom an experiment may meet, and their limits."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llm.alerts.error_rate import CALLERS_FAULT
from llm.chaos.plan import FaultPlan
from llm.models import ChaosExperiment, Route
from valuecanvas.core.db.statement_timeout import limited_cursor
from valuecanvas.core.errors import SERVER_CODES
from valuecanvas.core.targeting.conditions import Attributes

# Of fewer requests a share says little.
LEAST_REQUESTS = 20
WINDOW = dt.timedelta(seconds=30)
# Where there are fewer than LEAST_REQUESTS in that.
LONG_WINDOW = dt.timedelta(minutes=5)
# No more rows are read, the newest first.
MOST_ROWS = 20_000
TIMEOUT_MS = 3_000
# A cached answer calls no provider, so no experiment can meet it.
_ROWS = f"""
    FROM llm_usage AS u
    WHERE u.created_at >= %(since)s AND u.created_at < %(until)s
      AND u.status IN ('ok', 'error', 'interrupted') AND NOT u.cached
      AND NOT {CALLERS_FAULT}
      AND (%(models)s::text[] IS NULL OR u.model = ANY(%(models)s))
      AND (%(endpoints)s::text[] IS NULL OR u.endpoint = ANY(%(endpoints)s))
"""
_AUDIENCE = f"""
SELECT u.id, u.user_id, c.tier_id, u.team, u.key, u.tags, u.endpoint, u.model
FROM (SELECT * {_ROWS} ORDER BY u.created_at DESC LIMIT {MOST_ROWS}) AS u
LEFT JOIN billing_customer AS c ON c.id = u.customer_id
"""  # noqa: S608 - constants
_FIGURES = f"""
WITH met AS MATERIALIZED (
    SELECT u.id, u.status, u.error_code, u.latency_ms, u.provider_cost_usd {_ROWS}
      AND (%(ids)s::uuid[] IS NULL OR u.id = ANY(%(ids)s))
    ORDER BY u.created_at DESC LIMIT {MOST_ROWS}
), tried AS (
    SELECT sum(a.provider_cost_usd) AS cost,
           count(DISTINCT a.request_id) FILTER (WHERE a.injected_by <> '') AS injected
    FROM llm_attempt AS a JOIN met ON met.id = a.request_id
    -- No request takes longer: its attempts are read by their time.
    WHERE a.created_at >= %(since)s - interval '1 hour'
)
SELECT count(*), count(*) FILTER (WHERE status <> 'ok'),
       count(*) FILTER (WHERE error_code = ANY(%(ours)s)),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms),
       sum(provider_cost_usd) + coalesce((SELECT cost FROM tried), 0),
       (SELECT injected FROM tried)
FROM met
"""  # noqa: S608 - constants
_ALL = """
SELECT count(*) FROM (
    SELECT FROM llm_usage WHERE created_at >= %s AND created_at < %s LIMIT %s) AS u
"""
_SHARE = f"""
SELECT count(*), count(*) FILTER (
    WHERE NOT u.cached AND (%(ids)s::uuid[] IS NULL OR u.id = ANY(%(ids)s))
      AND (%(models)s::text[] IS NULL OR u.model = ANY(%(models)s))
      AND (%(endpoints)s::text[] IS NULL OR u.endpoint = ANY(%(endpoints)s)))
FROM (SELECT * FROM llm_usage WHERE created_at >= %(since)s AND created_at < %(until)s
      ORDER BY created_at DESC LIMIT {MOST_ROWS}) AS u
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of the audience in a span of time."""

    requests: int = 0
    # Of failures, those that were not the caller's.
    errors: int = 0
    # Of them, those that were answered with 5xx.
    unavailable: int = 0
    # None: of no request.
    p95_ms: int | None = None
    # Of one request on average, with its attempts that failed.
    cost_usd: Decimal | None = None
    # Requests in which a fault made an attempt fail.
    injected: int = 0

    @property
    def error_percent(self) -> float | None:
        return 100 * self.errors / self.requests if self.requests else None

    @property
    def availability(self) -> float | None:
        """The requests that were not answered with 5xx, in percent."""
        if not self.requests:
            return None
        return 100 * (self.requests - self.unavailable) / self.requests

    @property
    def enough(self) -> bool:
        """Whether shares can be judged."""
        return self.requests >= LEAST_REQUESTS


@dataclass(frozen=True, slots=True)
class Limits:
    """What must hold; None: no limit."""

    most_error_percent: Decimal | None = None
    most_p95_ms: int | None = None
    least_availability_percent: Decimal | None = None
    most_cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RunFinding:
    """What was expected and what was seen; `holds` is None where it can't be judged."""

    expected: str
    seen: str
    holds: bool | None


def limits_of(experiment: ChaosExperiment) -> dict[str, Any]:
    """The limits of an experiment, for the row of its run."""
    names = (*Limits.__dataclass_fields__, "blast_percent")
    found = {name: getattr(experiment, name) for name in names}
    return {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in found.items()
    }


def read_limits(written: Mapping[str, Any]) -> Limits:
    """The limits in the row of a run."""

    def number(name: str) -> Decimal | None:
        value = written.get(name)
        return None if value is None else Decimal(value)

    return Limits(
        most_error_percent=number("most_error_percent"),
        most_p95_ms=written.get("most_p95_ms"),
        least_availability_percent=number("least_availability_percent"),
        most_cost_usd=number("most_cost_usd"),
    )


def measure(plan: FaultPlan, since: dt.datetime, until: dt.datetime) -> Measurement:
    """The figures of those whom the plan may meet. Raises DatabaseError."""
    values = _values(plan, since, until)
    with limited_cursor(TIMEOUT_MS) as cursor:
        values["ids"] = _audience(cursor, plan, values)
        cursor.execute(_FIGURES, values)
        requests, errors, unavailable, p95, cost, injected = cursor.fetchone()
    if not requests:
        return Measurement()
    return Measurement(
        requests, errors, unavailable, p95, Decimal(cost) / requests, injected
    )


def measure_now(plan: FaultPlan, now: dt.datetime) -> Measurement:
    """The figures of the last seconds, or of the last minutes if those were too few."""
    short = measure(plan, now - WINDOW, now)
    return short if short.enough else measure(plan, now - LONG_WINDOW, now)


def count_requests(since: dt.datetime, until: dt.datetime) -> int:
    """All requests, of everybody; no more than MOST_ROWS are counted."""
    with limited_cursor(TIMEOUT_MS) as cursor:
        cursor.execute(_ALL, [since, until, MOST_ROWS])
        return int(cursor.fetchone()[0])


def share_of_requests(plan: FaultPlan, until: dt.datetime) -> float:
    """Which share of all requests of the last minutes the plan may meet.

    Without any it is 1: nobody knows who will come.
    """
    values = _values(plan, until - LONG_WINDOW, until)
    with limited_cursor(TIMEOUT_MS) as cursor:
        values["ids"] = _audience(cursor, plan, values)
        cursor.execute(_SHARE, values)
        requests, met = cursor.fetchone()
    return met / requests if requests else 1.0


def judge(found: Measurement, limits: Limits) -> list[RunFinding]:
    """Each limit beside what was measured.

    Of few requests a failure counts as if all others of LEAST_REQUESTS were answered: so
    an experiment that fails everything is found out by its first failures.
    """
    base = max(found.requests, LEAST_REQUESTS)
    p95, cost = found.p95_ms or 0, found.cost_usd or Decimal()
    rows = (
        _check(found, limits.most_error_percent, "At most {:g}% of the requests fail", f"{found.errors:,} failed", 100 * found.errors / base),
        _check(found, limits.least_availability_percent, "At least {:g}% of the requests are answered without 5xx", f"{found.unavailable:,} were answered with 5xx", 100 - 100 * found.unavailable / base, least=True),
        _check(found, limits.most_p95_ms, "95% of the requests take at most {:,} ms", f"{p95:,} ms", p95 if found.enough else 0),
        _check(found, limits.most_cost_usd, "A request costs at most {:f} USD on average", f"{cost:.6f} USD", cost if found.enough else 0),
    )  # fmt: skip
    return [one for one in rows if one]


def breaches(found: Measurement, limits: Limits) -> list[str]:
    """The limits that are broken, each as a sentence."""
    return [
        f"{one.expected}: {one.seen}."
        for one in judge(found, limits)
        if one.holds is False
    ]


def why_not_judged(found: Measurement) -> str:
    """Why the figures say nothing, with the remedy; '': they do."""
    if found.enough:
        return ""
    minutes = LONG_WINDOW.seconds // 60
    if not found.requests:
        return (
            f"There is no traffic: nobody whom it may meet has sent a request in the last "
            f"{minutes} minutes. Send at least {LEAST_REQUESTS}, or widen the target."
        )
    return (
        f"There is too little traffic: {found.requests} requests of those whom it may meet "
        f"in the last {minutes} minutes, and {LEAST_REQUESTS} are needed to judge."
    )


def _check(
    found: Measurement,
    limit: Decimal | int | None,
    expected: str,
    seen: str,
    value: Decimal | float,
    *,
    least: bool = False,
) -> RunFinding | None:
    if limit is None:
        return None
    holds = value >= limit if least else value <= limit
    few = "" if found.enough else f"; {LEAST_REQUESTS} are needed to judge"
    return RunFinding(
        expected.format(limit),
        f"{seen} (of {found.requests:,} requests{few})",
        holds if found.enough or not holds else None,
    )


def _values(plan: FaultPlan, since: dt.datetime, until: dt.datetime) -> dict[str, Any]:
    return {
        "since": since,
        "until": until,
        "models": _model_names(plan),
        "endpoints": sorted(plan.endpoints) or None,
        "ours": sorted(SERVER_CODES),
        "ids": None,
    }


def _model_names(plan: FaultPlan) -> list[str] | None:
    """The models whose requests it may meet; None: all.

    Of providers all models that have a route there: the ledger names no provider for a
    request that failed.
    """
    if not plan.providers:
        return sorted(plan.model_names) or None
    routes = Route.objects.filter(provider__in=plan.providers)
    names = set(routes.values_list("model", flat=True))
    return sorted(names & plan.model_names if plan.model_names else names)


def _audience(
    cursor: Any, plan: FaultPlan, values: dict[str, Any]
) -> list[uuid.UUID] | None:
    """The requests for which the plan's conditions hold; None: there is no condition."""
    if not plan.tests:
        return None
    cursor.execute(_AUDIENCE, values)
    names = ("user_id", "tier", "team", "key", "tags", "endpoint", "model")
    return [
        pk
        for pk, *row in cursor.fetchall()
        if _holds(plan, Attributes(dict(zip(names, row, strict=True))))
    ]


def _holds(plan: FaultPlan, known: Attributes) -> bool:
    return all(test(known) for test in plan.tests)
