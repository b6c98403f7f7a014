"""The queue in the database: claims of jobs, their leases, and their ends."""

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from billing.ledger.claims import forget_claims
from billing.models import Reservation, Usage
from llm.jobs import callbacks
from llm.models import Job, JobState
from llm.models.job import ENDED

# So many lines of a batch are due at once: the queue of those to look at stays short.
WINDOW = 500
# Attempts and refusals of one job that are kept.
MOST_HISTORY = 30

_CLAIM = """
WITH suspect AS (
    SELECT id FROM llm_job
    WHERE state = 'queued' AND due AND losses > 0
      AND NOT EXISTS (SELECT FROM llm_job_pause p WHERE p.type = llm_job.type)
    ORDER BY priority, turn, run_at LIMIT %(suspects)s FOR UPDATE SKIP LOCKED
), other AS (
    SELECT id FROM llm_job
    WHERE state = 'queued' AND due AND losses = 0 AND (%(lines)s OR batch_id IS NULL)
      AND NOT EXISTS (SELECT FROM llm_job_pause p WHERE p.type = llm_job.type)
    ORDER BY priority, turn, run_at
    LIMIT %(most)s - (SELECT count(*) FROM suspect) FOR UPDATE SKIP LOCKED
), next AS (
    SELECT id FROM suspect UNION ALL SELECT id FROM other
)
UPDATE llm_job j
SET state = 'running', attempts = j.attempts + 1, worker = %(worker)s, progress = 0,
    lease_until = now() + %(lease_s)s * interval '1 second',
    started_at = now(), error_code = '', error = ''
FROM next WHERE j.id = next.id
RETURNING j.*
"""
# Only where the worker still has the job: it may have lost its lease, or been cancelled.
_END = """
UPDATE llm_job j
SET state = e.state, due = false, worker = NULL, lease_until = NULL,
    attempts = j.attempts - e.uncounted,
    run_at = CASE WHEN e.state = 'queued'
        THEN now() + e.wait_s * interval '1 second' ELSE j.run_at END,
    error_code = e.error_code, error = e.error, model = e.model,
    progress = CASE WHEN e.state = 'succeeded' THEN 100 ELSE 0 END,
    request_id = coalesce(e.request_id, j.request_id),
    cost_usd = j.cost_usd + e.cost_usd,
    history = CASE WHEN jsonb_array_length(j.history) < %(most_history)s
        THEN j.history || e.entry ELSE j.history END,
    finished_at = CASE WHEN e.state = 'queued' THEN NULL ELSE now() END
FROM json_to_recordset(%(ends)s) AS e (
    id uuid, state text, uncounted smallint, wait_s float, error_code text, error text,
    model text, request_id uuid, cost_usd numeric, entry jsonb, attempt smallint)
WHERE j.id = e.id AND j.worker = %(worker)s AND j.state = 'running'
  AND j.attempts = e.attempt
RETURNING j.id
"""
_RESULTS = """
INSERT INTO llm_job_results (job_id, status, sealed, created_at)
SELECT id, status, sealed, now()
FROM unnest(%s::uuid[], %s::smallint[], %s::bytea[]) AS r (id, status, sealed)
ON CONFLICT (job_id) DO UPDATE
SET status = excluded.status, sealed = excluded.sealed, created_at = excluded.created_at
"""
_RENEW = """
UPDATE llm_job SET lease_until = now() + %(lease_s)s * interval '1 second'
WHERE id = ANY(%(ids)s) AND worker = %(worker)s AND state = 'running' RETURNING id
"""
_DUE = """
UPDATE llm_job SET due = true
WHERE id IN (
    SELECT id FROM llm_job
    WHERE state = 'queued' AND NOT due AND batch_id IS NULL AND run_at <= now()
    ORDER BY run_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
"""
_DUE_LINES = """
UPDATE llm_job SET due = true
WHERE id IN (
    SELECT j.id FROM llm_job_batch b
    CROSS JOIN LATERAL (
        SELECT id FROM llm_job
        WHERE batch_id = b.id AND state = 'queued' AND NOT due AND run_at <= now()
        ORDER BY line
        LIMIT greatest(0, %(most)s - (
            SELECT count(*) FROM llm_job
            WHERE batch_id = b.id AND state = 'queued' AND due))
        FOR UPDATE SKIP LOCKED) j
    WHERE b.state = 'in_progress')
"""
_WAIT = """
UPDATE llm_job SET due = false,
    run_at = greatest(run_at, now() + %(wait_s)s * interval '1 second')
WHERE customer_id = %(customer)s AND state = 'queued' AND due AND on_limit = 'wait'
  AND (batch_id IS NOT NULL OR %(everything)s)
"""
_INTERACTIVE = """
SELECT EXISTS (SELECT FROM llm_usage
               WHERE created_at > now() - interval '5 seconds' AND job = '')
"""


@dataclass(frozen=True, slots=True)
class CustomerHold:
    """A customer whose limit is reached: its jobs wait. Only those of batches if it is
    a minute limit, of which a batch may take only a part.
    """

    customer_id: uuid.UUID
    wait_s: float
    everything: bool


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt of a job ended. Costs are in micro-dollars, waits in seconds."""

    job: Job
    state: JobState
    started: dt.datetime
    request_id: uuid.UUID | None = None
    status: int = 0
    body: bytes = b""
    cost: int = 0
    model: str = ""
    error_code: str = ""
    error: str = ""
    # For a job that is queued again.
    wait_s: float = 0.0
    counts: bool = True
    # The other jobs of the customer that wait with it.
    hold: CustomerHold | None = None
    # The claim of its Idempotency-Key, which is not needed once the result is stored.
    claim: str = ""

    def row(self) -> dict[str, Any]:
        """What the statement needs of it."""
        entry = {
            "attempt": self.job.attempts,
            "started": self.started,
            "ended": dt.datetime.now(dt.UTC),
            "worker": str(self.job.worker),
            "request_id": self.request_id,
            "error_code": _storable(self.error_code)[:80],
            "error": _storable(self.error)[:1000],
            "state": self.state,
        }
        return {
            "id": self.job.pk,
            "state": self.state,
            "uncounted": 0 if self.counts else 1,
            "wait_s": self.wait_s,
            "error_code": entry["error_code"],
            "error": entry["error"],
            "model": self.model[:200],
            "request_id": self.request_id,
            "cost_usd": f"{self.cost / 1_000_000:.6f}",
            "entry": entry,
            "attempt": self.job.attempts,
        }


@dataclass(frozen=True, slots=True)
class Room:
    """What a worker has room for: at most so many jobs, of which at most `suspects` had a
    worker that died, and lines of batches only if it says so.
    """

    most: int
    suspects: int = 1
    lines: bool = True


@dataclass(slots=True)
class Turn:
    """What one exchange with the queue brought."""

    claimed: list[Job] = field(default_factory=list)
    # Batches of which a job ended.
    batches: set[uuid.UUID] = field(default_factory=set)


def exchange(worker: uuid.UUID, ends: Sequence[End], room: Room) -> Turn:
    """Write how jobs ended, and claim new ones, in one transaction."""
    turn = Turn()
    with transaction.atomic():
        if ends:
            turn.batches = _write_ends(worker, ends)
        for hold in {one.hold for one in ends if one.hold}:
            _execute(
                _WAIT,
                customer=hold.customer_id,
                wait_s=hold.wait_s,
                everything=hold.everything,
            )
        if room.most:
            turn.claimed = _claim(worker, room)
    return turn


def renew(worker: uuid.UUID, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Renew the worker's leases of the jobs `ids`. Returns those that it still has.

    Jobs that it claimed without hearing of it, as the connection broke, are not renewed.
    """
    values = {"ids": list(ids), "lease_s": settings.JOBS_LEASE_S}
    return _ids(_RENEW, worker=worker, **values)


def find_cancelled(ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the jobs that were cancelled."""
    rows = Job.objects.filter(pk__in=list(ids), state=JobState.CANCELLED)
    return set(rows.values_list("pk", flat=True))


def add_costs(requests: Mapping[uuid.UUID, uuid.UUID]) -> list[uuid.UUID]:
    """Add what the requests cost to their jobs, which have ended; those now settled."""
    ids = list(requests)
    held = Reservation.objects.filter(pk__in=ids).values_list("pk", flat=True)
    settled = [one for one in ids if one not in set(held)]
    bills = Usage.objects.filter(pk__in=settled, cost_usd__gt=0)
    for request_id, cost in bills.values_list("pk", "cost_usd"):
        Job.objects.filter(pk=requests[request_id]).update(
            cost_usd=F("cost_usd") + cost, request_id=request_id
        )
    return settled


def has_interactive_requests() -> bool:
    """Whether a request that is no job was settled in the last seconds."""
    with connection.cursor() as cursor:
        cursor.execute(_INTERACTIVE)
        return bool(cursor.fetchone()[0])


def feed() -> int:
    """Make jobs due whose time has come; how many."""
    lines = _execute(_DUE_LINES, most=WINDOW)
    return lines + _execute(_DUE, most=WINDOW)


def _claim(worker: uuid.UUID, room: Room) -> list[Job]:
    values = {
        "most": room.most,
        "suspects": min(room.most, room.suspects),
        "lines": room.lines,
        "worker": worker,
        "lease_s": settings.JOBS_LEASE_S,
    }
    rows = Job.objects.raw(_CLAIM, values)
    return sorted(rows, key=lambda job: (job.priority, job.turn, job.run_at))


def _write_ends(worker: uuid.UUID, ends: Sequence[End]) -> set[uuid.UUID]:
    """Write the ends of jobs that the worker still has. Returns their batches."""
    rows = orjson.dumps([one.row() for one in ends]).decode()
    written = _ids(_END, worker=worker, ends=rows, most_history=MOST_HISTORY)
    valid = [one for one in ends if one.job.pk in written]
    answered = [one for one in valid if one.state == JobState.SUCCEEDED]
    if answered:
        columns = [(one.job.pk, one.status, one.body) for one in answered]
        with connection.cursor() as cursor:
            cursor.execute(_RESULTS, [list(one) for one in zip(*columns, strict=True)])
        forget_claims([one.claim for one in answered if one.claim])
    final = [one.job.pk for one in valid if one.state in ENDED and one.job.callback_url]
    for job in Job.objects.filter(pk__in=final):
        callbacks.queue_job_callback(job)
    return {one.job.batch_id for one in valid if one.job.batch_id}


def _storable(text: str) -> str:
    """`text` without what PostgreSQL refuses: a provider's words may be in it."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _execute(statement: str, **values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def _ids(statement: str, **values: Any) -> set[uuid.UUID]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return {row[0] for row in cursor.fetchall()}
