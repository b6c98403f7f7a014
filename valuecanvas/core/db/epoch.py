"""The epoch: one counter row that every change of configuration bumps.

Admission reads it in its own transaction, so a request admitted after a change was
committed cannot run on the old configuration, in any process, without polling.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import connection, transaction
from django_redis import get_redis_connection
from redis.exceptions import RedisError

log = structlog.get_logger("core.epoch")

BUMP = """
WITH bumped AS (
    UPDATE core_epoch SET value = value + 1 WHERE id = 1 RETURNING value
)
INSERT INTO core_change (epoch, kind, key, created_at)
SELECT bumped.value, changed.kind, changed.key, now()
FROM bumped, unnest(%s::text[], %s::text[]) AS changed (kind, key)
"""
Changed = dict[tuple[str, str], None]
# What `single_bump` collects in this context; None: each change bumps at once.
_collected: ContextVar[Changed | None] = ContextVar("core.epoch", default=None)


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One changed object of the configuration."""

    kind: str
    key: str


class ChangesPurged(Exception):
    """Some changes since that epoch were purged: load everything."""


def bump(kind: str, keys: Iterable[object]) -> None:
    """Record that the objects `keys` of `kind` changed; call inside their transaction."""
    changed = dict.fromkeys((kind, str(key)) for key in keys)
    collected = _collected.get()
    if collected is None:
        _bump(changed)
    else:
        collected |= changed


@contextmanager
def single_bump() -> Iterator[None]:
    """Bump once, at the end of the block, for all of its changes.

    Call it inside their transaction. Whoever bumps makes other writers wait until it
    commits: with many changes that is best done last.
    """
    collected: Changed = {}
    token = _collected.set(collected)
    try:
        yield
    finally:
        _collected.reset(token)
    _bump(collected)


def _bump(changed: Changed) -> None:
    if not changed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            BUMP, [[kind for kind, _ in changed], [key for _, key in changed]]
        )
    transaction.on_commit(_hint)


def hint_key(prefix: str) -> str:
    """The Redis key whose value every change replaces, after its commit."""
    return f"{prefix}:config-changes"


def _hint() -> None:
    """Notify processes that answer from memory. Without Redis they don't."""
    try:
        # Random, not a counter: after a flush of Redis a counter would repeat old values.
        mark = secrets.token_hex(8)
        get_redis_connection("default").set(hint_key(settings.REDIS_PREFIX), mark)
    except RedisError as error:
        log.warning("epoch.not_hinted", error=type(error).__name__)


def current() -> int:
    """The committed epoch."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM core_epoch WHERE id = 1")
        row = cursor.fetchone()
    return int(row[0])


def changes_since(epoch: int) -> tuple[int, list[ConfigChange]]:
    """The committed epoch, and what changed after `epoch` up to it.

    Both come from one statement, so they describe the same instant. Raises ChangesPurged
    if change rows were purged, or the database was restored to an earlier epoch.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT e.value, c.epoch, c.kind, c.key FROM core_epoch e
               LEFT JOIN core_change c ON c.epoch > %s AND c.epoch <= e.value
               WHERE e.id = 1""",
            [epoch],
        )
        rows = cursor.fetchall()
    now = int(rows[0][0])
    recorded = {row[1] for row in rows if row[1] is not None}
    if len(recorded) != now - epoch:
        raise ChangesPurged
    return now, [ConfigChange(kind, key) for _, at, kind, key in rows if at is not None]
