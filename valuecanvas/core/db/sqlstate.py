"""Classifies errors of PostgreSQL: caused by the database's state, or by the row."""

import psycopg
from django.db import InterfaceError, InternalError, OperationalError

# Data exception and integrity constraint violation: the row's fault in any state.
_ROW = ("22", "23")
# Deadlock, too complex, locked, too slow, an internal error: other writes may succeed.
_ONE_WRITE = ("40", "54", "55", "57014", "XX")
# Read-only or idle too long, no login, deadlock, locked: never caused by the row.
_NEVER_ROW = ("25", "28", "40", "55")


class LockWait(psycopg.errors.LockNotAvailable):
    """A statement that only takes locks timed out: others hold them.

    The server reports it as a statement timeout, which otherwise may be the row's fault.
    """


def sqlstate_of(error: BaseException | None) -> str:
    """The five characters of SQLSTATE; '' if the server sent none."""
    return getattr(error, "sqlstate", None) or ""


def row_at_fault(error: BaseException) -> bool:
    """Whether the row would be refused in any state of the database. Our bugs count too."""
    if not isinstance(error, psycopg.Error):
        return True
    if sqlstate_of(error):
        return sqlstate_of(error).startswith(_ROW)
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def row_suspected(error: BaseException) -> bool:
    """Whether the row may be the cause of an error of the database's state, as by its size."""
    return not sqlstate_of(error).startswith(_NEVER_ROW)


def refuses_writes(error: BaseException) -> bool:
    """Whether the database probably accepts no writes now."""
    return not sqlstate_of(error).startswith(_ONE_WRITE)


def maybe_committed(error: BaseException) -> bool:
    """Whether the transaction may have been committed, though it ended in `error`.

    An error that the server reports without ending the session rolls it back.
    """
    return not isinstance(error, LockWait) and not (
        isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized == "ERROR"
    )


def is_database_down(error: BaseException | None) -> bool:
    """Whether the database cannot be reached or written to. For Django's errors."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, InternalError) and sqlstate_of(error.__cause__).startswith(
        "25"
    )
