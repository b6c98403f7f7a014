"""Whose fault an error of PostgreSQL is: the database's state, or the row's."""

import psycopg
from django.db import InterfaceError, InternalError, OperationalError

# Data exception and integrity constraint violation: any database would say so.
_ROW = ("22", "23")
# Deadlock, too complex, locked, too slow, an internal error: others' writes may well land.
_ONE_WRITE = ("40", "54", "55", "57014", "XX")
# Read-only or idle too long, no login, deadlock, locked: never because of what is written.
_NEVER_ROW = ("25", "28", "40", "55")


class LockWait(psycopg.errors.LockNotAvailable):
    """A statement that only takes locks took too long: others hold them.

    Told by the statement's timeout, which else may be the row's own fault.
    """


def sqlstate_of(error: BaseException | None) -> str:
    """The five characters of SQLSTATE; '' where the server said nothing."""
    return getattr(error, "sqlstate", None) or ""


def row_at_fault(error: BaseException) -> bool:
    """Would the row be refused again, whatever the database's state? Our bugs count too."""
    if not isinstance(error, psycopg.Error):
        return True
    if sqlstate_of(error):
        return sqlstate_of(error).startswith(_ROW)
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def row_suspected(error: BaseException) -> bool:
    """May the row be to blame for an error of the database's state, as by its size?"""
    return not sqlstate_of(error).startswith(_NEVER_ROW)


def refuses_writes(error: BaseException) -> bool:
    """Is it likely that the database takes nobody's writes now?"""
    return not sqlstate_of(error).startswith(_ONE_WRITE)


def maybe_committed(error: BaseException) -> bool:
    """May the transaction have been committed, though it ended in `error`?

    An error that the server reports without ending the session rolls it back.
    """
    return not isinstance(error, LockWait) and not (
        isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized == "ERROR"
    )


def database_away(error: BaseException | None) -> bool:
    """Can the database not be reached, or not be written to? For Django's errors."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, InternalError) and sqlstate_of(error.__cause__).startswith(
        "25"
    )
