"""Reconciliation: checks that counters, reservations and ledger agree."""

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from billing.accounting.invariants import INVARIANTS, OVERDUE_S, Invariant
from billing.budget_scopes import BudgetScope
from billing.models import LedgerCheck
from billing.usage import levels, partitions, rollup

log = structlog.get_logger("billing.ledger")

DAYS = 2  # today and yesterday
MOST_ROWS = 100  # drifting rows kept for each invariant
TIMEOUT_S = 900

# One pass over the ledger of the span, summed before it is spread over the scopes.
# Past the retention, counters without money are purged: their absence is no drift.
_SCOPES = ", ".join(
    f"('{one.letter}', coalesce({one.column or 'NULL'}::text, ''))"
    for one in BudgetScope
    if one not in (BudgetScope.MODEL, BudgetScope.TAG)
)
_GLOBAL, _MODEL, _TAG = (
    one.letter for one in (BudgetScope.GLOBAL, BudgetScope.MODEL, BudgetScope.TAG)
)
COUNTERS = f"""
WITH parts AS (
    SELECT customer_id, team, key, model, tags, day,
           count(*) FILTER (WHERE status <> 'correction'
                            AND NOT marks @> ARRAY['refunded']::varchar[])
           - count(*) FILTER (WHERE status = 'correction'
                              AND marks @> ARRAY['refunded']::varchar[]) AS used,
           sum(cost_usd) * 1000000 AS spent, 0 AS reserved
    FROM llm_usage WHERE day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT customer_id, team, key, facts->>'model',
           CASE WHEN facts ? 'tags'
                THEN ARRAY(SELECT jsonb_array_elements_text(facts->'tags')) END,
           day, count(*), 0, sum(estimate)
    FROM billing_reservation
    WHERE day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2, 3, 4, 5, 6
), wanted AS (
    SELECT s.scope, s.scope_id, day,
           sum(used) AS used, sum(spent) AS spent, sum(reserved) AS reserved
    FROM parts, LATERAL (
        VALUES {_SCOPES}
        -- Rows without tags are of a version that did not count by model and tag.
        UNION ALL SELECT '{_MODEL}', model WHERE tags IS NOT NULL
        UNION ALL SELECT '{_TAG}', tag FROM unnest(tags) AS tag
    ) AS s (scope, scope_id)
    WHERE s.scope = '{_GLOBAL}' OR s.scope_id <> ''
    GROUP BY 1, 2, 3
), books AS MATERIALIZED (
    SELECT scope, scope_id, day,
           coalesce(w.spent, 0) AS wanted_spent, coalesce(c.spent, 0) AS spent,
           coalesce(w.used, 0) AS wanted_used, coalesce(c.used, 0) AS used,
           coalesce(w.reserved, 0) AS wanted_reserved,
           coalesce(c.reserved, 0) AS reserved
    FROM (
        SELECT * FROM billing_counter WHERE day BETWEEN %(first)s AND %(last)s
    ) c FULL JOIN wanted w USING (scope, scope_id, day)
    WHERE c.key IS NOT NULL OR day >= %(kept)s OR w.spent <> 0 OR w.reserved <> 0
), drifting AS (
    SELECT d.*, scope, scope_id, day,
           count(*) OVER (PARTITION BY name) AS drifted,
           row_number() OVER (
               PARTITION BY name ORDER BY abs(found - expected) DESC, scope, scope_id, day
           ) AS place
    FROM books, LATERAL (VALUES
        ('spent', wanted_spent, spent),
        ('used', wanted_used, used),
        ('reserved', wanted_reserved, reserved)
    ) AS d (name, expected, found)
    WHERE expected <> found
)
SELECT name, drifted, scope, scope_id, day, expected, found, '' FROM drifting
WHERE place <= %(most)s
UNION ALL SELECT '', count(*), '', '', NULL, 0, 0, '' FROM books
"""  # noqa: S608 - letters and columns of an enum
# The other invariants: a query for the number of rows checked, one for drifting rows.
RESERVATIONS = "SELECT count(*) FROM billing_reservation"
ENDED_TWICE = """
SELECT 'ended_once', count(*) OVER (), 'c', r.customer_id, r.day, 1, 2, r.id
FROM billing_reservation r JOIN llm_usage u ON u.id = r.id LIMIT %(most)s
"""
OVERDUE = """
SELECT 'overdue', count(*) OVER (), 'c', customer_id, day, 0,
       extract(epoch FROM now() - lease_until)::bigint, id
FROM billing_reservation
WHERE lease_until < now() - %(overdue)s * interval '1 second'
ORDER BY lease_until LIMIT %(most)s
"""
CORRECTIONS = "SELECT count(*) FROM llm_usage WHERE corrects IS NOT NULL"
ORPHANED = """
SELECT 'corrections', count(*) OVER (), 'c', c.customer_id, c.day, 1, 0, c.id
FROM llm_usage c LEFT JOIN llm_usage u
  ON u.id = c.corrects AND u.corrects IS NULL AND u.customer_id = c.customer_id
WHERE c.corrects >= %(first_id)s AND (u.id IS NULL OR c.status <> 'correction')
LIMIT %(most)s
"""
# Of each level the sums of whole days, against the rows. Not of days to sum up again.
# Of each week the sums against those of its days, whose rows may be archived.
_WEEKS = ", ".join(
    f"({days}, {week.number}, '{week.name}')" for days, week in levels.WEEKS.items()
)
_LEVELS = ", ".join(f"({one.number}, '{one.name}')" for one in levels.LEVELS)
ROLLUPS = f"""
WITH span AS (
    SELECT until, coalesce(weeks_until, '-infinity') AS weeks_until,
           date_trunc('week', %(first)s::timestamp) AT TIME ZONE 'utc' AS first_week
    FROM billing_rollup_state
), ledger AS (
    SELECT (created_at AT TIME ZONE 'utc')::date AS day, count(*) AS rows,
           sum(cost_usd) AS cost, sum(provider_cost_usd + saved_usd) AS rest
    FROM llm_usage, span
    WHERE created_at >= %(first)s::timestamp AT TIME ZONE 'utc' AND created_at < until
    GROUP BY 1
), summed AS (
    SELECT level, (start AT TIME ZONE 'utc')::date AS day,
           sum(requests + corrections) AS rows, sum(cost_usd) AS cost,
           sum(provider_cost_usd + saved_usd) AS rest
    FROM billing_usage_hour
    WHERE start >= %(first)s::timestamp AT TIME ZONE 'utc' GROUP BY 1, 2
), weeks AS (
    SELECT level, date_trunc('week', start, 'UTC') AS start,
           sum(requests + corrections) AS rows,
           sum(cost_usd + provider_cost_usd + saved_usd) * 1000000 AS cost
    FROM billing_usage_hour, span
    WHERE start >= first_week AND start < weeks_until::timestamp AT TIME ZONE 'utc'
    GROUP BY 1, 2
), checked AS (
    SELECT l.name, day, coalesce(w.rows, 0) AS wanted_rows, coalesce(s.rows, 0) AS rows,
           coalesce(w.cost + w.rest, 0) * 1000000 AS wanted_cost,
           coalesce(s.cost + s.rest, 0) * 1000000 AS cost
    FROM (VALUES {_LEVELS}) AS l (level, name)
    CROSS JOIN (SELECT day FROM ledger UNION SELECT day FROM summed) AS every
    LEFT JOIN ledger w USING (day) LEFT JOIN summed s USING (level, day)
    WHERE day NOT IN (SELECT day FROM billing_late_day)
    UNION ALL
    SELECT l.name, (every.start AT TIME ZONE 'utc')::date, coalesce(d.rows, 0),
           coalesce(w.rows, 0), coalesce(d.cost, 0), coalesce(w.cost, 0)
    FROM (VALUES {_WEEKS}) AS l (days, week, name)
    CROSS JOIN (SELECT DISTINCT start FROM weeks) AS every
    LEFT JOIN weeks d ON d.level = l.days AND d.start = every.start
    LEFT JOIN weeks w ON w.level = l.week AND w.start = every.start
), drifting AS (
    SELECT d.*, checked.name AS level, day, count(*) OVER (PARTITION BY d.name) AS drifted,
           row_number() OVER (PARTITION BY d.name ORDER BY day DESC, checked.name) AS place
    FROM checked, LATERAL (VALUES
        ('rolled_up_cost', wanted_cost, cost), ('rolled_up_rows', wanted_rows, rows)
    ) AS d (name, expected, found)
    WHERE expected <> found
)
SELECT name, drifted, 'g', level, day, expected, found, '' FROM drifting
WHERE place <= %(most)s
UNION ALL SELECT '', count(*), '', '', NULL, 0, 0, '' FROM checked
"""  # noqa: S608 - numbers and names of a constant


@dataclass(frozen=True, slots=True)
class Drift:
    """One row that drifts. `row` is the id of a reservation or of a ledger row.

    `scope` is g (everyone), t (team), c (customer) or k (key); `day` is ISO text.
    """

    scope: str
    scope_id: str
    day: str
    expected: int
    found: int
    row: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant: rows checked, how many drift, and the worst MOST_ROWS of them."""

    invariant: Invariant
    checked: int
    drifted: int = 0
    rows: tuple[Drift, ...] = ()

    @property
    def ok(self) -> bool:
        return self.drifted == 0


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """One check. `first` is None where it began with the first day."""

    first: dt.date | None
    last: dt.date
    started: dt.datetime
    finished: dt.datetime
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)


def check(days: int | None = DAYS, *, timeout_s: int = TIMEOUT_S) -> LedgerReport:
    """Check the last `days` UTC days, today's included; None: all.

    Everything is read from one snapshot, so requests under way are no drift. Call it
    outside any transaction. Raises DatabaseError where a statement passes `timeout_s`.
    """
    started = timezone.now()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = {timeout_s * 1000:d}")
        cursor.execute("SELECT (now() AT TIME ZONE 'utc')::date")
        today: dt.date = cursor.fetchone()[0]
        first = None if days is None else today - dt.timedelta(days=days - 1)
        complete_from, first_id = partitions.horizon()
        first = max(filter(None, (first, complete_from)), default=None)
        findings = _findings(cursor, first, today, first_id)
    return LedgerReport(first, today, started, timezone.now(), findings)


def run(by: str, days: int | None = DAYS, *, timeout_s: int = TIMEOUT_S) -> LedgerCheck:
    """Check, save the result for the admin and the metrics, and log any drift."""
    rollup.catch_up()
    report = check(days, timeout_s=timeout_s)
    for finding in report.findings:
        if not finding.ok:
            log.error(
                "ledger.drift",
                invariant=finding.invariant.name,
                drifted=finding.drifted,
                first=[asdict(row) for row in finding.rows[:3]],
            )
    took = report.finished - report.started
    log.info("ledger.checked", ok=report.ok, seconds=round(took.total_seconds(), 3))
    return LedgerCheck.objects.create(
        started_at=report.started,
        finished_at=report.finished,
        first_day=report.first,
        last_day=report.last,
        ok=report.ok,
        findings=[_document(finding) for finding in report.findings],
        by=by,
    )


def findings_of(kept: LedgerCheck) -> list[Finding]:
    """The findings of a saved check, with the titles of this version."""
    known = {invariant.name: invariant for invariant in INVARIANTS}
    return [
        Finding(
            known.get(one["name"]) or Invariant(one["name"], one["name"], "", "rows"),
            one["checked"],
            one["drifted"],
            tuple(Drift(**row) for row in one["rows"]),
        )
        for one in kept.findings
    ]


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.invariant.name,
        "checked": finding.checked,
        "drifted": finding.drifted,
        "rows": [asdict(row) for row in finding.rows],
    }


def _findings(
    cursor: Any, first: dt.date | None, last: dt.date, first_id: uuid.UUID
) -> tuple[Finding, ...]:
    values = {
        "first": first or dt.date.min,
        # No row should have a later day; if one has, the check must find it.
        "last": dt.date.max,
        "kept": last - dt.timedelta(days=settings.USAGE_RETENTION_DAYS),
        "most": MOST_ROWS,
        "overdue": OVERDUE_S,
        # The requests of older corrections are archived.
        "first_id": first_id,
    }
    checked: dict[str, int] = {}
    rows: list[tuple[Any, ...]] = []
    for looked_at, statement, names in _STATEMENTS:
        if looked_at:
            cursor.execute(looked_at)
            checked |= dict.fromkeys(names, cursor.fetchone()[0])
        cursor.execute(statement, values)
        for row in cursor.fetchall():
            if row[0]:
                rows.append(row)
            else:
                checked |= dict.fromkeys(names, row[1])
    return tuple(_finding(one, checked[one.name], rows) for one in INVARIANTS)


_STATEMENTS = (
    ("", COUNTERS, ("spent", "used", "reserved")),
    (RESERVATIONS, ENDED_TWICE, ("ended_once",)),
    (RESERVATIONS, OVERDUE, ("overdue",)),
    (CORRECTIONS, ORPHANED, ("corrections",)),
    ("", ROLLUPS, ("rolled_up_cost", "rolled_up_rows")),
)


def _finding(
    invariant: Invariant, checked: int, rows: list[tuple[Any, ...]]
) -> Finding:
    mine = [row for row in rows if row[0] == invariant.name]
    drifted = mine[0][1] if mine else 0
    return Finding(invariant, checked, drifted, tuple(_drifts(mine)))


def _drifts(rows: list[tuple[Any, ...]]) -> Iterator[Drift]:
    for _, _, scope, scope_id, day, expected, found, row in rows:
        yield Drift(
            scope,
            str(scope_id),
            day.isoformat(),
            int(expected),
            int(found),
            str(row),
        )
