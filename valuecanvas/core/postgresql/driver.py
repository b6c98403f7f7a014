"""psycopg as Django's backend takes it, but with connections that can lose patience."""

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


# How often psycopg looks up from its wait.
INTERVAL_S = 0.1


class PatientConnection(psycopg.Connection[Any]):
    """Gives up on a server that says nothing, where there is a bound.

    Nothing else bounds that wait: a server that is stopped or swapped out applies no
    statement_timeout, and its kernel goes on acknowledging for it, so that keep-alives
    and the TCP user timeout find nothing wrong.
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
                # Its answer may still come, and would be taken for the next one's.
                self.pgconn.finish()
            raise


def connect(conninfo: str = "", **parameters: Any) -> PatientConnection:
    """As psycopg's own. Raises OperationalError."""
    try:
        return PatientConnection.connect(conninfo, **parameters)
    except psycopg.OperationalError as error:
        # It and its frames hold each other, and so the socket, until the collector
        # comes by: many would be open by then, of a server that takes them all.
        error.__context__ = error.__traceback__ = None
        raise type(error)(*error.args) from None
