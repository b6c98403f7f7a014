"""Writes refused requests, kept whole or counted, and replays."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection, transaction

from billing.auth.principal import Principal
from billing.models import IdempotentReplay, Refusal
from valuecanvas.core.errors import LimitState
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry.redaction import redact

LONGEST_MESSAGE = 1000
_COUNT = """
INSERT INTO billing_refusal_count
    (id, minute, customer_id, key, code, endpoint, count)
SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::text[], %s::text[],
    %s::text[], %s::bigint[])
ON CONFLICT (minute, customer_id, key, code, endpoint)
DO UPDATE SET count = billing_refusal_count.count + excluded.count
"""


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """What is known of a refused request; `at` in Unix seconds. No part of its body."""

    id: uuid.UUID
    at: float
    caller: Principal
    endpoint: str
    model: str
    step: str
    status: int
    code: str
    param: str
    message: str
    limits: tuple[LimitState, ...]
    max_tokens: int | None
    # As the header has it, in seconds.
    retry_after: str | None
    epoch: int | None
    trace_id: str
    job: str


TraceRow = RefusedRequest | IdempotentReplay


class CountKey(NamedTuple):
    """What refusals beyond those kept whole are counted by.

    `minute` since 1970; `customer` is the number of the customer's UUID.
    """

    minute: int
    customer: int
    key: str
    code: str
    endpoint: str


def save(rows: Iterable[TraceRow], counts: Mapping[CountKey, int]) -> None:
    """Write all in one transaction."""
    refused, replays = [], []
    for one in rows:
        if isinstance(one, IdempotentReplay):
            replays.append(one)
        else:
            refused.append(_row(one))
    with transaction.atomic():
        # Of a job, the first of each reason is kept.
        Refusal.objects.bulk_create(refused, ignore_conflicts=True)
        IdempotentReplay.objects.bulk_create(replays, ignore_conflicts=True)
        if counts:
            _add(Counter(counts))


def _row(one: RefusedRequest) -> Refusal:
    at = dt.datetime.fromtimestamp(one.at, dt.UTC)
    return Refusal(
        id=one.id,
        created_at=at,
        user_id=one.caller.user_id,
        customer_id=one.caller.customer_id,
        team=one.caller.team,
        key=one.caller.key,
        endpoint=plain(one.endpoint, 40),
        model=plain(one.model, 200),
        step=one.step,
        status=one.status,
        code=plain(one.code, 80),
        param=plain(one.param, 200),
        message=plain(one.message, LONGEST_MESSAGE),
        limits=[limit.row() for limit in one.limits],
        max_tokens=one.max_tokens,
        retry_at=_retry_at(at, one.retry_after),
        epoch=one.epoch,
        trace_id=one.trace_id,
        job=one.job,
    )


def plain(text: str, longest: int) -> str:
    """Text that PostgreSQL takes, of at most so many characters, without personal data.

    A model's name, or a message that quotes a field, may be anything.
    """
    cut = redact(text)[:longest].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return cut.encode("utf-8", "replace").decode()


def _retry_at(at: dt.datetime, seconds: str | None) -> dt.datetime | None:
    if seconds is None or not seconds.isdecimal():
        return None
    return at + dt.timedelta(seconds=int(seconds))


def _add(counts: Counter[CountKey]) -> None:
    # In order: two processes that write the same rows must not wait for each other.
    keys = sorted(counts)
    columns: list[Any] = [
        [uuid7() for _ in keys],
        [dt.datetime.fromtimestamp(key.minute * 60, dt.UTC) for key in keys],
        [uuid.UUID(int=key.customer) for key in keys],
        [key.key for key in keys],
        [plain(key.code, 80) for key in keys],
        [plain(key.endpoint, 40) for key in keys],
        [counts[key] for key in keys],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, columns)
