"""Statement timeout by context: a page waits less for the database than a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Seconds for one statement; None: as long as it takes.
_seconds: ContextVar[float | None] = ContextVar("statement_timeout", default=None)
# The client waits this much longer, since the server cancels the statement itself.
GRACE_S = 1.0


def seconds() -> float | None:
    """The statement timeout in this context, in seconds; None: no limit."""
    return _seconds.get()


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
