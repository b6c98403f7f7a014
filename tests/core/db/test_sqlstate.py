"""Whose fault an error is: the table that the group commit decides by."""

import psycopg
import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from psycopg import errors

from valuecanvas.core.db import sqlstate

# SQLSTATE, is the row at fault, may it be, does the database take nobody's writes?
TABLE = [
    ("08006", False, True, True),  # connection failure
    ("0A000", False, True, True),  # cached plan must not change result type
    ("22003", True, True, True),  # numeric value out of range
    ("22P02", True, True, True),  # invalid text representation
    ("22021", True, True, True),  # character not in repertoire
    ("23502", True, True, True),  # not null violation
    ("23505", True, True, True),  # unique violation
    ("25006", False, False, True),  # read-only transaction
    ("25P02", False, False, True),  # in failed transaction
    ("25P03", False, False, True),  # idle in transaction too long
    ("26000", False, True, True),  # prepared statement does not exist
    ("28000", False, False, True),  # invalid authorization
    ("28P01", False, False, True),  # invalid password
    ("40001", False, False, False),  # serialization failure
    ("40P01", False, False, False),  # deadlock
    ("42501", False, True, True),  # privileges revoked
    ("42P01", False, True, True),  # table missing
    ("53100", False, True, True),  # disk full
    ("53200", False, True, True),  # out of memory
    ("53300", False, True, True),  # too many connections
    ("54000", False, True, False),  # program limit exceeded
    ("54001", False, True, False),  # statement too complex
    ("55000", False, False, False),  # object not in prerequisite state
    ("55P03", False, False, False),  # lock not available
    ("57014", False, True, False),  # statement timeout
    ("57P01", False, True, True),  # administrator shutdown
    ("57P02", False, True, True),  # crash shutdown
    ("57P03", False, True, True),  # cannot connect now
    ("58030", False, True, True),  # input/output error
    ("XX000", False, True, False),  # internal error
    ("XX001", False, True, False),  # data corrupted
]


@pytest.mark.parametrize(("code", "at_fault", "suspected", "refuses"), TABLE)
def test_sqlstate__each_class__is_the_row_s_fault_or_the_state_s(
    code: str, at_fault: bool, suspected: bool, refuses: bool
) -> None:
    error = errors.lookup(code)("Said.")
    assert sqlstate.row_at_fault(error) is at_fault
    if not at_fault:
        assert sqlstate.row_suspected(error) is suspected
        assert sqlstate.refuses_writes(error) is refuses


@pytest.mark.parametrize(
    ("error", "at_fault"),
    [
        (psycopg.OperationalError("server closed the connection"), False),
        (psycopg.InterfaceError("the connection is closed"), False),
        (psycopg.DataError("NUL in text"), True),
        (psycopg.IntegrityError("said"), True),
        (TypeError("not JSON"), True),
        (MemoryError(), True),
    ],
)
def test_sqlstate__server_said_nothing__goes_by_the_kind(
    error: Exception, at_fault: bool
) -> None:
    assert sqlstate.sqlstate_of(error) == ""
    assert sqlstate.row_at_fault(error) is at_fault
    assert sqlstate.maybe_committed(error)


def caused(error: DatabaseError, cause: Exception | None) -> DatabaseError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (caused(InternalError(), errors.ReadOnlySqlTransaction()), True),
        (caused(InternalError(), errors.IdleInTransactionSessionTimeout()), True),
        (caused(InternalError(), errors.InternalError_()), False),
        (InternalError(), False),
        (OperationalError(), True),
        (InterfaceError(), True),
        (caused(IntegrityError(), errors.UniqueViolation()), False),
        (ValueError(), False),
        (None, False),
    ],
)
def test_database_away__django_s_error__also_where_nothing_can_be_written(
    error: Exception | None, away: bool
) -> None:
    assert sqlstate.is_database_down(error) is away
