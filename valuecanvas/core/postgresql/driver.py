"""psycopg as Django's backend uses it, with connections that time out."""

from typing import Any

import psycopg
from psycopg import (
    Binary,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    pq,
)

from valuecanvas.core.db import statement_timeout

__all__ = [
    "Binary",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "connect",
]


# How often psycopg checks the timeout while it waits.
INTERVAL_S = 0.1


class TimeoutConnection(psycopg.Connection[Any]):
    """Closes itself if the server does not answer within the statement timeout.

    Nothing else limits that wait: a server that is stopped or swapped out applies no
    statement_timeout, and its kernel still acknowledges packets, so that keepalives and
    the TCP user timeout do not notice it.
    """

    def wait(
        self,
        gen: Any,
        interval: float = INTERVAL_S,
        timeout: float | None = None,
    ) -> Any:
        bound = statement_timeout.seconds()
        if timeout is None and bound is not None:
            timeout = bound + statement_timeout.GRACE_S
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                # Its answer may still come, and would be read as that of the next statement.
                self.pgconn.finish()
            raise


def connect(conninfo: str = "", **parameters: Any) -> TimeoutConnection:
    """As psycopg's own. Raises OperationalError."""
    try:
        return TimeoutConnection.connect(conninfo, **parameters)
    except psycopg.OperationalError as error:
        # The error and its frames refer to each other and keep the socket open until
        # the garbage collector runs: many could be open by then.
        error.__context__ = error.__traceback__ = None
        raise type(error)(*error.args) from None
