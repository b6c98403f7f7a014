"""The rows and a hash of each table, the same for equal contents in any order."""

from typing import Any

import psycopg
from psycopg import sql

from valuecanvas.backups.types import Progress, Table, quiet

# A row's text must not depend on the session.
_SESSION = (
    "SET LOCAL TIME ZONE 'UTC'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL search_path = pg_catalog",
)
_NAMES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname <> 'information_schema'
AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2
"""
# The sum of the rows' SHA-256, so their order does not matter: in two halves of the first
# 128 bits. Not t::text: of a table with a column t that would be the column.
_DIGEST = """
SELECT count(*), coalesce(sum(('x' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0),
coalesce(sum(('x' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)
FROM (SELECT encode(sha256(convert_to((t.*)::text, 'UTF8')), 'hex') AS h FROM {} t) AS hashes
"""


def prepare(connection: psycopg.Connection) -> None:
    """Set up the open transaction, so that rows are written as text in one way."""
    for statement in _SESSION:
        connection.execute(statement)


def digests(
    connection: psycopg.Connection, progress: Progress = quiet
) -> dict[str, Table]:
    """Rows and hash by `schema.table`, from the connection's transaction."""
    names = connection.execute(_NAMES).fetchall()
    found: dict[str, Table] = {}
    for done, (schema, name) in enumerate(names):
        progress("Hash tables", done, len(names))
        query = sql.SQL(_DIGEST).format(sql.Identifier(schema, name))
        row: Any = connection.execute(query).fetchone()
        found[f"{schema}.{name}"] = Table(row[0], f"{_hex(row[1])}{_hex(row[2])}")
    progress("Hash tables", len(names), len(names))
    return found


def differences(wanted: dict[str, Table], found: dict[str, Table]) -> list[str]:
    """What differs, one line for each table."""
    lines = []
    for name in sorted(wanted.keys() | found.keys()):
        before, after = wanted.get(name), found.get(name)
        if before == after:
            continue
        if before is None or after is None:
            lines.append(
                f"{name}: {'missing' if after is None else 'not in the backup'}"
            )
        elif before.rows != after.rows:
            lines.append(f"{name}: {after.rows} rows, {before.rows} in the backup")
        else:
            lines.append(f"{name}: same number of rows, other contents")
    return lines


def _hex(number: Any) -> str:
    return f"{int(number) % 2**64:016x}"
