"""Corrections: ledger rows that change the cost of an earlier row."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from billing import config
from billing.ledger import Limit, Party, sql
from billing.ledger.decide import most_left
from billing.ledger.ledger import history_parameters
from billing.ledger.types import Books, LockedCounter
from billing.ledger.windows import start
from billing.models import Usage
from valuecanvas.core import money
from valuecanvas.core.db import epoch, locks
from valuecanvas.core.ids import uuid7

STATUS = "correction"
Limits = dict[str, tuple[Limit, ...]]

# As the group commit locks them, in the database's own order of keys.
LOCK = """
SELECT key, used, spent, reserved FROM billing_counter
WHERE key = ANY(%s) ORDER BY key FOR UPDATE
"""
MOVE = """
UPDATE billing_counter c SET spent = c.spent + d.spent
FROM unnest(%s::text[], %s::bigint[]) AS d (key, spent) WHERE c.key = d.key
"""
CLOCK = "SELECT clock_timestamp() AT TIME ZONE 'utc'"
# Columns that a correction copies from its request: who, where, and for which prompt.
COPIED = (
    "user_id",
    "end_user",
    "customer_id",
    "key",
    "team",
    "model",
    "provider",
    "upstream_model",
    "endpoint",
    "cached",
    "prompt_key",
    "prompt_version",
    "variant",
    "subject",
    "flags",
    "job",
    "tags",
    "trace_id",
)


@dataclass(slots=True)
class PriceCorrection:
    """One request and its correction, in micro-dollars.

    `wanted` is the difference to the true price; `delta`, the part that is charged.
    """

    row: Usage
    billed: int
    wanted: int
    provider_delta: int
    delta: int = 0
    day: dt.date = dt.date.min

    @property
    def scopes(self) -> tuple[str, ...]:
        row = self.row
        tags = None if row.tags is None else tuple(row.tags)
        return Party(row.customer_id, row.team, row.key, row.model, tags).scopes


def book(changes: list[PriceCorrection]) -> list[PriceCorrection]:
    """Book `changes` in one transaction; skip those that are already booked."""
    while True:
        today = _clock().date()
        keys = _keys(changes, today)
        with connection.cursor() as cursor:
            cursor.execute(sql.FIRST_SEEN, [keys])
        with transaction.atomic(durable=True):
            locks.hold("billing.reprice")
            books = _lock(keys)
            if books.today == today:
                return _book(changes, books)
        # Midnight by the database's clock: other counters are needed.


def _keys(changes: list[PriceCorrection], today: dt.date) -> list[str]:
    """The counters that may change; today's, which all requests lock, only if needed."""
    wanted = {
        f"{scope}:{day}"
        for one in changes
        for scope in one.scopes
        for day in ({one.row.day, today} if one.wanted > 0 else {one.row.day})
    }
    return sorted(wanted)


def _clock() -> dt.datetime:
    with connection.cursor() as cursor:
        cursor.execute(CLOCK)
        at: dt.datetime = cursor.fetchone()[0]
    return at.replace(tzinfo=dt.UTC)


def _lock(keys: list[str]) -> Books:
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [keys])
        rows = {row[0]: LockedCounter(*row[1:]) for row in cursor.fetchall()}
    return Books(epoch.current(), _clock(), rows)


def _book(changes: list[PriceCorrection], books: Books) -> list[PriceCorrection]:
    wanted = [one.row.pk for one in changes]
    done = set(
        Usage.objects.filter(corrects__in=wanted).values_list("corrects", flat=True)
    )
    changes = [one for one in changes if one.row.pk not in done]
    limits = _limits(changes, books)
    moves: dict[str, int] = defaultdict(int)
    for one in changes:
        _decide(one, limits, books)
        for scope in one.scopes:
            moves[f"{scope}:{one.day}"] += one.delta
    Usage.objects.bulk_create(_correction(one, books) for one in changes)
    with connection.cursor() as cursor:
        cursor.execute(MOVE, [list(moves), list(moves.values())])
    return changes


def _limits(changes: list[PriceCorrection], books: Books) -> Limits:
    """The budgets of the scopes of `changes`, with the sums of past days in `books`."""
    scopes = {scope for one in changes for scope in one.scopes}
    every = config.limits_by_scope(config.load_budgets())
    limits = {scope: every[scope] for scope in scopes if scope in every}
    wanted = {
        (limit.scope, first)
        for several in limits.values()
        for limit in several
        if (first := start(limit, books.today)) is not None
    }
    if wanted:
        with connection.cursor() as cursor:
            cursor.execute(sql.HISTORY, history_parameters(wanted, books.today))
            for scope, first, total in cursor.fetchall():
                books.history[scope, first] = int(total)
    return limits


def _decide(change: PriceCorrection, limits: Limits, books: Books) -> None:
    """Decide how much of a change is charged, and on which day's counters.

    A refund goes to the day of the request. An extra charge is spent today, like any
    other charge, and only as far as every budget allows: the group commit relies on
    sums of past days that only shrink.
    """
    if change.wanted <= 0:
        change.delta, change.day = change.wanted, change.row.day
    else:
        mine = [limit for scope in change.scopes for limit in limits.get(scope, ())]
        available = max(0, most_left(mine, books, change.wanted))
        change.delta, change.day = min(change.wanted, available), books.today
    for scope in change.scopes:
        if change.day == books.today:
            books.row(scope, books.today).spent += change.delta


def _correction(change: PriceCorrection, books: Books) -> Usage:
    row = change.row
    copied: dict[str, Any] = {name: getattr(row, name) for name in COPIED}
    return Usage(
        id=uuid7(),
        **copied,
        cost_usd=money.to_usd(change.delta),
        provider_cost_usd=money.to_usd(change.provider_delta),
        status=STATUS,
        epoch=books.epoch,
        source="reprice",
        marks=["capped"] if change.delta < change.wanted else [],
        day=change.day,
        created_at=books.at,
        corrects=row.pk,
    )
