"""The role of the product in the embedded PostgreSQL: it owns its database, and no more.

The cluster's first role is a superuser, who reads files and starts programs. Only this
module and the server's start use it.
"""

import secrets
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from valuecanvas.embedded.cluster import ROLE
from valuecanvas.embedded.state_files import read_json, write_json

APP_ROLE = "valuecanvas_app"
# Settings of the ledger's sessions, so that the server logs no values.
_PARAMETERS = "log_min_error_statement, log_error_verbosity"
# Statements that give the product what the superuser owns in its database: a cluster
# of an earlier version, or one that a backup was restored into by hand.
_OWNED = """
SELECT format('ALTER %%s %%s OWNER TO %%I', kind, name, %(role)s::text) FROM (
    SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
               WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
           oid::regclass::text AS name, relowner AS owner, relnamespace AS place
    FROM pg_class AS c
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (
        -- A sequence of a column goes with its table.
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid
            AND relkind = 'S' AND deptype IN ('a', 'i'))
    UNION ALL
    SELECT 'ROUTINE', oid::regprocedure::text, proowner, pronamespace FROM pg_proc
) AS found
WHERE place = 'public'::regnamespace AND owner = %(owner)s::text::regrole
"""


def ensure_app_role(url: str, state: Path) -> str:
    """Create the role, make it the owner of everything, and return its URL.

    `url` is the superuser's for the product's database; `state` keeps the password.
    """
    known = read_json(state)
    password = known.get("app_password")
    if not password:
        password = secrets.token_urlsafe(24)
        write_json(state, {**known, "app_password": password})
    with psycopg.connect(url) as connection:
        _create(connection, password)
        _give_ownership(connection)
    parts = urlsplit(url)
    host = f"{APP_ROLE}:{password}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=host).geturl()


def _create(connection: psycopg.Connection, password: str) -> None:
    role = sql.Identifier(APP_ROLE)
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [APP_ROLE])
    if found.fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    # A backup is restored for trial into a database of its own.
    options = sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER CREATEDB PASSWORD {}")
    connection.execute(options.format(role, sql.Literal(password)))
    grant = sql.SQL("GRANT SET ON PARAMETER {} TO {}")
    connection.execute(grant.format(sql.SQL(_PARAMETERS), role))


def _give_ownership(connection: psycopg.Connection) -> None:
    role, name = sql.Identifier(APP_ROLE), sql.Identifier(connection.info.dbname)
    for kind, what in (("DATABASE", name), ("SCHEMA", sql.Identifier("public"))):
        statement = sql.SQL("ALTER {} {} OWNER TO {}")
        connection.execute(statement.format(sql.SQL(kind), what, role))
    names = {"role": APP_ROLE, "owner": ROLE}
    for (alter,) in connection.execute(_OWNED, names).fetchall():
        connection.execute(alter)
