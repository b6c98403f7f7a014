"""Opens the ledger's own connections: prepared statements, timeouts, no logged rows."""

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


def connect() -> psycopg.Connection:
    """A new connection with prepared statements and timeouts."""
    parameters = connections["default"].get_connection_params()
    wanted = {name: parameters[name] for name in PARAMETERS if parameters.get(name)}
    connection = psycopg.connect(
        **wanted,
        autocommit=True,
        connect_timeout=2,
        application_name="valuecanvas-ledger",
        cursor_factory=psycopg.ClientCursor,
        options=f"-c statement_timeout={settings.DB_STATEMENT_TIMEOUT_MS}"
        f" -c lock_timeout={settings.DB_LOCK_TIMEOUT_MS}"
        " -c idle_in_transaction_session_timeout=5000 -c timezone=UTC",
    )
    try:
        _limit_logging(connection)
        connection.execute(sql.LOCK)
        connection.execute(sql.NOW)
        connection.execute(sql.WRITE)
    except psycopg.Error:
        connection.close()
        raise
    return connection


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
