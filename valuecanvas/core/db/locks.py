"""Named locks in the database, for work that only one process may do at a time."""

from django.db import connection


def hold(name: str) -> None:
    """Wait for the lock `name` and hold it until the open transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
