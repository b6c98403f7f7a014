"""Statement timeout by context: a page waits less for the database than a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

# Seconds for one statement; None: as long as it takes.
_seconds: ContextVar[float | None] = ContextVar("statement_timeout", default=None)
# The client waits this much longer, since the server cancels the statement itself.
GRACE_S = 1.0


def seconds() -> float | None:
    """The statement timeout in this context, in seconds; None: no limit."""
    return _seconds.get()


@contextmanager
def limited_cursor(longest_ms: int) -> Iterator[CursorWrapper]:
    """A cursor of a transaction of its own, whose statements are limited.

    Raises OperationalError, within the `with`.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {longest_ms:d}")
        yield cursor
        # It may be inside another transaction, which goes on.
        bound = seconds()
        again = "DEFAULT" if bound is None else f"{round(bound * 1000):d}"
        cursor.execute(f"SET LOCAL statement_timeout TO {again}")


@contextmanager
def limit_statements(longest: float | None) -> Iterator[None]:
    """Limit the statements in this context to so many seconds; None: no limit.

    Then OperationalError is raised and the connection is closed. The limit also holds in
    threads that a request is handed to.
    """
    token = _seconds.set(longest)
    try:
        yield
    finally:
        _seconds.reset(token)
