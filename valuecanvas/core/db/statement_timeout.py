"""How long whoever runs now waits for the database: a page waits less than a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Seconds for one statement; None: as long as it takes.
_seconds: ContextVar[float | None] = ContextVar("patience", default=None)
# Of a statement that the server itself must give up, the answer is awaited a bit longer.
GRACE_S = 1.0


def seconds() -> float | None:
    """The longest statement allowed here, in seconds; None is any."""
    return _seconds.get()


@contextmanager
def patience(longest: float | None) -> Iterator[None]:
    """Statements within wait that long, in seconds, for a database that is silent.

    After it OperationalError is raised, and the connection is given up. It holds in the
    threads to which a request is handed. None takes the bound off.
    """
    token = _seconds.set(longest)
    try:
        yield
    finally:
        _seconds.reset(token)
