"""Other sessions of the database: one that holds locks, one that ends a ledger's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections

from billing.ledger import Ledger

LEDGERS = """
SELECT pid, wait_event_type FROM pg_stat_activity
WHERE application_name = 'valuecanvas-ledger' AND datname = current_database()
"""


def connect() -> psycopg.Connection:
    parameters = connections["default"].get_connection_params()
    wanted = {name: parameters.get(name) for name in ("host", "port", "user", "dbname")}
    return psycopg.connect(
        **wanted, password=parameters.get("password"), autocommit=True
    )


@contextmanager
def locked_counters() -> Iterator[psycopg.Connection]:
    """Nobody else reads or writes a counter meanwhile."""
    with connect() as session:
        session.execute("BEGIN; LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE")
        yield session
        session.execute("ROLLBACK")


def wait_for_blocked(session: psycopg.Connection) -> None:
    """Return once a ledger waits for a lock; fail where none ever does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        session.execute("SELECT pg_stat_clear_snapshot()")
        if any(row[1] == "Lock" for row in session.execute(LEDGERS).fetchall()):
            return
    raise AssertionError("No ledger waits for a lock.")


def end_ledger(ledger: Ledger) -> bool:
    """Terminate the session of this ledger; others of the database keep theirs."""
    own = ledger._batch._connection._connection
    assert own is not None
    return end_session(own.info.backend_pid)


def end_session(pid: int) -> bool:
    """Terminate the session of this backend, and wait for its end."""
    with connect() as session:
        statement = "SELECT pg_terminate_backend(%s, 60000)"
        ended = session.execute(statement, [pid]).fetchone()
    return bool(ended and ended[0])


def wait_for_end(pid: int) -> None:
    """Return once the session of this backend is gone."""
    deadline = time.monotonic() + 60
    with connect() as session:
        statement = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        while session.execute(statement, [pid]).fetchone():
            assert time.monotonic() < deadline


def set_read_only(on: bool, *ledgers: Ledger) -> None:
    """Turn the test's database read-only, or back; sessions of `ledgers` begin anew."""
    with connect() as session:
        session.execute("SET default_transaction_read_only = off")
        session.execute(
            f'ALTER DATABASE "{session.info.dbname}" '
            f"SET default_transaction_read_only = {'on' if on else 'off'}"
        )
    for ledger in ledgers:
        own = ledger._batch._connection._connection
        if own is not None and not own.closed:
            end_ledger(ledger)
