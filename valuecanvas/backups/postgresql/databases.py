"""Copies of a backed-up database on the server, beside the one in use."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from django.conf import settings
from psycopg import sql

from valuecanvas.backups import encryption
from valuecanvas.backups.errors import BackupError, DamagedBackup
from valuecanvas.backups.postgresql import client_programs, table_digests
from valuecanvas.backups.repository import CONTENTS, DUMP, BackupRepository
from valuecanvas.backups.types import BackupSummary, Contents, Progress

MARK = "_restored_"
# Database names have at most 63 bytes.
MOST_NAME = 63 - len(MARK) - 8
MOST_DIFFERENCES = 5
_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
# Without taking it: that would turn away who comes for it in this moment.
_IS_LOCKED = """
SELECT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)
)
"""


def url(parameters: dict[str, Any]) -> str:
    """The parameters as a URL, for DATABASE_URL of another process."""
    rest = dict(parameters)
    user, password = rest.pop("user", ""), rest.pop("password", "")
    host, port, name = rest.pop("host", ""), rest.pop("port", ""), rest.pop("dbname")
    who = f"{quote(user, '')}:{quote(password, '')}@" if user else ""
    where = f"{quote(host, '')}{f':{port}' if port else ''}"
    more = f"?{urlencode(rest)}" if rest else ""
    return f"postgresql://{who}{where}/{quote(name, '')}{more}"


@contextmanager
def maintenance(server: dict[str, Any]) -> Iterator[psycopg.Connection]:
    """A connection on which databases can be created, renamed and dropped."""
    parameters = {**server, "dbname": "postgres"}
    with client_programs.connect(parameters, autocommit=True) as connection:
        yield connection


@contextmanager
def exclusive(server: dict[str, Any]) -> Iterator[psycopg.Connection]:
    """Hold the lock of backups, on a maintenance connection.

    Raises BackupError if another process makes, verifies or restores one.
    """
    with maintenance(server) as connection:
        row: Any = connection.execute(_TRY_LOCK, [_lock_name(server)]).fetchone()
        if not row[0]:
            raise BackupError(
                "Another backup, or a restore, is under way; wait until it has ended."
            )
        try:
            yield connection
        finally:
            # The server would do it too, but a moment after the connection's end: the
            # next command would be turned away. A broken connection holds no lock.
            if not connection.broken:
                connection.execute(_UNLOCK, [_lock_name(server)])


def is_locked(server: dict[str, Any]) -> bool:
    """Whether a process makes, verifies or restores a backup now. Raises BackupError."""
    with maintenance(server) as connection:
        row: Any = connection.execute(_IS_LOCKED, [_lock_name(server)]).fetchone()
    return bool(row[0])


def _lock_name(server: dict[str, Any]) -> str:
    return f"valuecanvas backups of {server['dbname']}"


@contextmanager
def scratch_database(
    connection: psycopg.Connection, server: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """An empty database, dropped after the block unless it was renamed.

    `connection` holds the lock of backups: what else has such a name is a rest of a
    killed process.
    """
    base = str(server["dbname"])[:MOST_NAME] + MARK
    for name in _names(connection, base):
        drop(connection, name)
    name = f"{base}{secrets.token_hex(4)}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
    try:
        connection.execute(statement.format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise BackupError(
            f"No database can be created for the copy: {_first_line(error)}. The role "
            "needs the right CREATEDB, and the server space for it."
        ) from None
    try:
        yield {**server, "dbname": name}
    finally:
        drop(connection, name)


def drop(connection: psycopg.Connection, name: str) -> None:
    """Drop a database and end its sessions; nothing happens if there is none."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    connection.execute(statement.format(sql.Identifier(name)))


def load(
    repository: BackupRepository,
    summary: BackupSummary,
    target: dict[str, Any],
    folder: Path,
    progress: Progress,
) -> Contents:
    """Restore a backup into the empty database `target`.

    Raises DamagedBackup if a file was changed, BackupError if the restore fails, OSError
    if `folder` is full.
    """
    for done, part in enumerate(summary.files):
        progress("Read and compare checksums", done, len(summary.files))
        repository.fetch(summary, part, folder / part)
    contents = _contents(folder / CONTENTS)
    plain = folder / "database.dump"
    progress("Decrypt", 0, 0)
    with (folder / DUMP).open("rb") as source, plain.open("wb") as file:
        encryption.decrypt(source, file)
    (folder / DUMP).unlink()
    progress("Restore", 0, 0)
    with client_programs.connect(target) as connection:
        version = connection.info.server_version
    arguments = [
        *(client_programs.find("pg_restore", version), "--exit-on-error", "--no-owner"),
        *("--no-privileges", "--no-password", f"--jobs={settings.BACKUP_JOBS}"),
        *(f"--dbname={target['dbname']}", str(plain)),
    ]
    with client_programs.run(arguments, target, folder):
        pass
    plain.unlink()
    return contents


def compare(contents: Contents, target: dict[str, Any], progress: Progress) -> None:
    """Compare every table with the backup's snapshot. Raises DamagedBackup."""
    with client_programs.connect(target) as connection:
        table_digests.prepare(connection)
        found = table_digests.digests(connection, progress)
    if lines := table_digests.differences(contents.tables, found):
        more = f" and {len(lines) - MOST_DIFFERENCES} more" * (
            len(lines) > MOST_DIFFERENCES
        )
        raise DamagedBackup(
            f"The copy differs: {'; '.join(lines[:MOST_DIFFERENCES])}{more}."
        )


def _contents(path: Path) -> Contents:
    # In memory: it holds the keys.
    plain = BytesIO()
    with path.open("rb") as source:
        encryption.decrypt(source, plain)
    return Contents.read(json.loads(plain.getvalue()))


def _names(connection: psycopg.Connection, base: str) -> list[str]:
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
    return [str(name) for (name,) in connection.execute(query, [base]).fetchall()]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()
