"""Named locks in the database, for work that only one process may do at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


def hold(name: str) -> None:
    """Wait for the lock `name` and hold it until the open transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def try_hold(name: str) -> bool:
    """As `hold`, but without waiting: whether the lock was free."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name]
        )
        return bool(cursor.fetchone()[0])


@contextmanager
def session_lock(name: str) -> Iterator[None]:
    """Wait for the lock `name` and hold it through the block, over many transactions.

    The server gives it back with the connection, which so must be the server's own:
    behind PgBouncer's transaction mode it may be another one by the next statement.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
