"""Reports on what was used and spent: exact figures of any span, group and filter.

    query = UsageQuery(date(2026, 11, 1), date(2026, 12, 1), group_by=("model",), top=10)
    report = run(query)
    for row in report.rows:
        print(row.keys[0], row.figures.cost_usd, row.before and row.before.cost_usd)

Requests by the UTC time at which they were settled; a correction counts when it was
booked. `Report.until` says up to when the ledger has been summed up: about a minute ago.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from billing.budget_periods import midnight
from billing.models import RollupState
from billing.usage.levels import find_level
from billing.usage.sums import SUMMED, quantile
from billing.usage.weeks import LevelSpan, cover_days
from valuecanvas.core.db.statement_timeout import limited_cursor
from valuecanvas.core.ids import uuid_or_none

TIMEOUT_MS = 10_000
MOST_DAYS = 1100
MOST_ROWS = 10_000
BUCKETS = ("hour", "day", "month")
# Each dimension: its columns, and its text. `customer` is the customer's id.
DIMENSIONS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "team": (("team",), "team"),
        "customer": (("customer_id",), "customer_id::text"),
        "key": (("key",), "key"),
        "model": (("model",), "model"),
        "provider": (("provider",), "provider"),
        "endpoint": (("endpoint",), "endpoint"),
        "prompt": (("prompt_key",), "prompt_key"),
        "prompt_version": (
            ("prompt_key", "prompt_version"),
            "prompt_key || '@' || prompt_version",
        ),
        "variant": (("variant",), "variant"),
        "tag": (("tags",), "tag"),
    }
)
SHARES = (0.5, 0.95, 0.99)
_SPAN = (
    "SELECT * FROM billing_usage_hour WHERE level = %s AND start >= %s AND start < %s"
)
# With PostgreSQL's usual 4 MB, many groups are sorted on disk, which takes half as long again.
# One core is enough for a report: the others are the ledger's.
RESOURCES = "SET LOCAL work_mem = '32MB'; SET LOCAL max_parallel_workers_per_gather = 0"


class ReportError(Exception):
    """A query that cannot be answered: `field` is what to change, the text says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What to report: the UTC days from `start` until before `end`.

    `filters` maps dimensions to the values of which one must fit. `group_by` names up to
    two dimensions; a request with several tags counts in each. `bucket` is '', hour, day
    or month. `top` keeps the groups that cost most. `compare` adds the figures of the
    period before, of the same number of days. `latency` adds quantiles.
    """

    start: dt.date
    end: dt.date
    group_by: tuple[str, ...] = ()
    bucket: str = ""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    compare: bool = False
    top: int | None = None
    latency: bool = False

    @property
    def days(self) -> int:
        return (self.end - self.start).days


@dataclass(frozen=True, slots=True)
class UsageFigures:
    """Exact sums. Amounts are USD; `latency_ms` is p50, p95 and p99, within 2 %."""

    requests: int = 0
    ok: int = 0
    failed: int = 0
    cached: int = 0
    corrections: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    provider_cost_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    latency_ms: tuple[int | None, ...] = ()

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_per_request(self) -> Decimal | None:
        return self.cost_usd / self.requests if self.requests else None

    @property
    def cost_per_1000_tokens(self) -> Decimal | None:
        return self.cost_usd * 1000 / self.tokens if self.tokens else None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One group in one bucket. `keys` are the texts of `group_by`; '' where none is.

    `start` is the bucket's first moment, None without a bucket; `before` the figures of
    the group in the period before, None where nothing is compared.
    """

    keys: tuple[str, ...]
    start: dt.datetime | None
    figures: UsageFigures
    before: UsageFigures | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The answer: rows by cost, or by time where there is a bucket; and the totals.

    The totals are of the whole span and filter, whatever `top` leaves out.
    """

    rows: list[ReportRow]
    total: UsageFigures
    before: UsageFigures | None
    until: dt.datetime | None


Place = tuple[tuple[str, ...], dt.datetime | None]


def run(query: UsageQuery) -> Report:
    """Answer a query. Raises ReportError (too many rows, too), and DatabaseError where it takes too long."""
    check(query)
    rows = _figures(query)
    if query.top is not None:
        rows = _top(query, rows)
    total = replace(query, group_by=(), bucket="", top=None)
    earlier: dict[Place, UsageFigures] = {}
    before = None
    if query.compare:
        start, end = query.start - (query.end - query.start), query.start
        past = replace(query, start=start, end=end, bucket="", top=None)
        earlier = _figures(_same_groups(past, rows)) if query.group_by else {}
        before = _figures(replace(past, group_by=())).get(((), None), UsageFigures())
    return Report(
        rows=[
            ReportRow(keys, start, found, _before(query, earlier, before, keys, start))
            for (keys, start), found in rows.items()
        ],
        total=_figures(total).get(((), None), UsageFigures()),
        before=before,
        until=RollupState.objects.values_list("until", flat=True).first(),
    )


def _same_groups(query: UsageQuery, rows: Mapping[Place, Any]) -> UsageQuery:
    """`query` for the groups of `rows` alone: there may be very many others."""
    found = {
        name: sorted({keys[at] for keys, _ in rows})
        for at, name in enumerate(query.group_by)
        # A filter by tag finds no request without one.
        if name != "tag"
    }
    return replace(query, filters={**query.filters, **found})


def check(query: UsageQuery) -> None:
    """Raises ReportError, which names the field and the remedy."""
    if not 1 <= query.days <= MOST_DAYS:
        raise ReportError(
            "to", f"'to' must be after 'from', and at most {MOST_DAYS} days later."
        )
    if query.bucket and query.bucket not in BUCKETS:
        raise ReportError("bucket", f"'bucket' must be one of {', '.join(BUCKETS)}.")
    if len(set(query.group_by)) != len(query.group_by) or len(query.group_by) > 2:
        raise ReportError("group_by", "'group_by' takes at most two dimensions.")
    for name in (*query.group_by, *query.filters):
        if name not in DIMENSIONS:
            known = ", ".join(DIMENSIONS)
            raise ReportError("group_by", f"'{name[:40]}' is none of {known}.")
    if _level(query) is None:
        raise ReportError(
            "bucket", "By hour only one of these is known: the caller, model and prompt, "
            "or tag. Leave one out, or use bucket=day.",
        )  # fmt: skip


def _level(query: UsageQuery) -> int | None:
    columns = {
        column
        for name in (*query.group_by, *query.filters)
        for column in DIMENSIONS[name][0]
    }
    level = find_level(columns, "hour" if query.bucket == "hour" else "day")
    return level.number if level else None


def _group(query: UsageQuery) -> str:
    """What to group by: columns, which are faster to compare than their texts."""
    columns = [one for name in query.group_by for one in DIMENSIONS[name][0]]
    tag = ["tag" if one == "tags" else one for one in columns]
    return ", ".join(["1", *dict.fromkeys(tag)])


def _source(query: UsageQuery) -> tuple[str, str, list[Any]]:
    """The groups' expressions, the FROM and WHERE, and its values."""
    keys = [DIMENSIONS[name][1] for name in query.group_by]
    bucket = f"date_trunc('{query.bucket}', start, 'UTC')" if query.bucket else "NULL"
    spans = _spans(query)
    table = f"({' UNION ALL '.join([_SPAN] * len(spans))}) AS sums"
    if "tag" in query.group_by:
        table += " LEFT JOIN LATERAL unnest(tags) AS tag ON true"
        keys = ["coalesce(tag, '')" if key == "tag" else key for key in keys]
    values: list[Any] = [
        value
        for one in spans
        for value in (one.level, midnight(one.start), midnight(one.end))
    ]
    parts = ["true"]
    for name, wanted in query.filters.items():
        condition, value = _condition(name, wanted)
        parts.append(condition)
        values.append(value)
    groups = ", ".join([bucket, f"ARRAY[{', '.join(keys)}]::text[]"])
    return groups, f"FROM {table} WHERE {' AND '.join(parts)}", values


def _spans(query: UsageQuery) -> list[LevelSpan]:
    """Which sums to read: of weeks, too, where no time is asked for."""
    level = _level(query) or 0
    if query.bucket:
        return [LevelSpan(level, query.start, query.end)]
    return cover_days(level, query.start, query.end)


def _condition(name: str, wanted: Sequence[str]) -> tuple[str, list[Any]]:
    """The filter of a dimension, and its value."""
    if name == "tag":
        return "tags && %s::varchar[]", list(wanted)
    if name == "customer":
        # Another text than an id is nobody's.
        ids = [found for one in wanted if (found := uuid_or_none(one))]
        return "customer_id = ANY(%s::uuid[])", ids
    return f"{DIMENSIONS[name][1]} = ANY(%s::text[])", list(wanted)


def _figures(query: UsageQuery) -> dict[Place, UsageFigures]:
    groups, source, values = _source(query)
    sums = ", ".join(f"sum({name})" for name in SUMMED)
    order = "1, 3 DESC" if query.bucket else "sum(cost_usd) DESC, sum(requests) DESC, 2"
    statement = (
        f"SELECT {groups}, {sums} {source} "
        f"GROUP BY {_group(query)} ORDER BY {order} LIMIT %s"
    )
    with limited_cursor(TIMEOUT_MS) as cursor:
        # The dearest come first, unless there are buckets.
        most = query.top if query.top and not query.bucket else MOST_ROWS + 1
        cursor.execute(RESOURCES)
        cursor.execute(statement, [*values, most])
        rows = cursor.fetchall()
    if len(rows) == most > MOST_ROWS:
        raise ReportError(
            "group_by",
            f"These are more than {MOST_ROWS:,} rows: ask for fewer days, add a filter, "
            "or ask for the 'top' groups without a bucket.",
        )
    places = {(tuple(keys), start): sums for start, keys, *sums in rows}
    # Of all other groups it would take far longer than their sums.
    latency = _latency(_same_groups(query, places)) if query.latency else {}
    return {place: _row(sums, latency.get(place, ())) for place, sums in places.items()}


def _row(sums: list[Any], latency: tuple[int | None, ...]) -> UsageFigures:
    values: dict[str, Any] = {
        name: value if name.endswith("_usd") else int(value)
        for name, value in zip(SUMMED, sums, strict=True)
    }
    return UsageFigures(**values, latency_ms=latency)


def _latency(query: UsageQuery) -> dict[Place, tuple[int | None, ...]]:
    groups, source, values = _source(query)
    statement = f"""
        SELECT start, keys, one >> 32, sum(one & 4294967295)::bigint FROM (
            SELECT {groups}, latency {source}
        ) AS found (start, keys, latency), unnest(latency) AS one
        GROUP BY 1, 2, 3 ORDER BY 3"""  # noqa: S608 - names of this file
    buckets: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    with limited_cursor(TIMEOUT_MS) as cursor:
        cursor.execute(statement, values)
        for start, keys, number, count in cursor.fetchall():
            buckets[tuple(keys), start].append((number, count))
    return {
        place: tuple(quantile(found, share) for share in SHARES)
        for place, found in buckets.items()
    }


def _top(
    query: UsageQuery, rows: dict[Place, UsageFigures]
) -> dict[Place, UsageFigures]:
    """The rows of the groups that cost most in the whole span."""
    cost: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for (keys, _), found in rows.items():
        cost[keys] += found.cost_usd
    best = set(sorted(cost, key=lambda keys: (-cost[keys], keys))[: query.top])
    return {place: found for place, found in rows.items() if place[0] in best}


def _before(
    query: UsageQuery,
    earlier: dict[Place, UsageFigures],
    total: UsageFigures | None,
    keys: tuple[str, ...],
    start: dt.datetime | None,
) -> UsageFigures | None:
    """Of a group as a whole: buckets of two periods do not match one by one."""
    if not query.compare or start is not None:
        return None
    return earlier.get((keys, None), UsageFigures()) if query.group_by else total
