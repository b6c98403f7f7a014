"""Rows as nobody could make them: for checks that must find what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def tampering() -> Iterator[None]:
    """The database's own guards (triggers) are off for this connection.

    Only a superuser may do it, as the tests' own role is.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
