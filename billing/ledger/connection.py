"""Opens the ledger's own connections: prepared statements, timeouts, no logged rows."""

from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import connections

from billing.ledger import sql

log = structlog.get_logger("billing.ledger")
# Parameters of Django's connection that the ledger's connections share.
PARAMETERS = (
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_MARK = "SELECT set_config('valuecanvas.session', %s, false)"
_MARKED = "SELECT current_setting('valuecanvas.session', true)"


class TransactionPooling(psycopg.OperationalError):
    """Each transaction runs on another connection to PostgreSQL."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_URL leads to a connection pooler that gives each transaction another "
            "connection. The ledger's prepared statements and timeouts need one of their "
            "own: set pool_mode = session in PgBouncer, or name PostgreSQL itself."
        )


def connect() -> psycopg.Connection:
    """A new connection with prepared statements and timeouts. Raises psycopg.Error."""
    connection = _open()
    try:
        # Not as a parameter of the connection, which PgBouncer does not pass on.
        connection.execute(
            f"SET statement_timeout = {settings.DB_STATEMENT_TIMEOUT_MS:d}; "
            f"SET lock_timeout = {settings.DB_LOCK_TIMEOUT_MS:d}; "
            "SET idle_in_transaction_session_timeout = 5000; SET timezone = 'UTC'"
        )
        _refuse_transaction_pooling(connection)
        _limit_logging(connection)
        connection.execute(sql.LOCK)
        connection.execute(sql.NOW)
        connection.execute(sql.WRITE)
        connection.execute(sql.UNDO)
    except psycopg.Error:
        connection.close()
        raise
    return connection


def check_pooling() -> None:
    """Raises TransactionPooling; nothing happens while the database is away."""
    try:
        connect().close()
    except TransactionPooling:
        raise
    except psycopg.Error:
        return


def _open() -> psycopg.Connection:
    parameters: dict[str, Any] = connections["default"].get_connection_params()
    wanted = {name: parameters[name] for name in PARAMETERS if parameters.get(name)}
    return psycopg.connect(
        **wanted,
        autocommit=True,
        connect_timeout=2,
        application_name="valuecanvas-ledger",
        cursor_factory=psycopg.ClientCursor,
    )


def _refuse_transaction_pooling(connection: psycopg.Connection) -> None:
    """Raises TransactionPooling if what a connection sets is not there the next time."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row == (connection.info.backend_pid,):
        # PostgreSQL itself; a pooler has numbers of its own.
        return
    connection.execute(_MARK, ["ours"])
    with _open() as other:
        other.execute(_MARK, ["another's"])
        if connection.execute(_MARKED).fetchone() != ("ours",):
            raise TransactionPooling


def _limit_logging(connection: psycopg.Connection) -> None:
    """Keep failed statements out of PostgreSQL's log: they contain callers' answers.

    Only a superuser may, or a role that was granted it: see docs/OPERATIONS.md.
    """
    try:
        connection.execute(sql.LIMIT_LOGGING)
    except psycopg.errors.InsufficientPrivilege:
        level = connection.execute("SHOW log_min_error_statement").fetchone()
        if level != ("panic",):
            log.warning("ledger.statements_logged", remedy=sql.GRANT)
