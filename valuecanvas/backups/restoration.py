"""Restores a backup: into a database beside the one in use, which it then replaces.

So a failure at any point leaves the database in use as it was.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import sql

from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.backups.rehearsal import application_keys, run_manage
from valuecanvas.backups.repository import BackupRepository, work_folder
from valuecanvas.backups.types import BackupSummary, Progress
from valuecanvas.core.models import Epoch

# What makes of the database in use: it is kept under this name.
KEPT = "_before_"
MOST_NAME = 63 - len(KEPT) - len("20261129T211500")


@dataclass(frozen=True, slots=True)
class Restored:
    """`kept` is the name of the former database, '' if there was none.

    `keys` are the settings without which the copy's secrets cannot be read.
    """

    summary: BackupSummary
    kept: str
    keys: Mapping[str, str] = field(repr=False)

    @property
    def changed_keys(self) -> list[str]:
        """Those that this installation has otherwise."""
        return [
            name
            for name, value in self.keys.items()
            if value != getattr(settings, name)
        ]


def is_empty(server: dict[str, Any]) -> bool:
    """Whether the database does not exist or has no tables. Raises BackupError."""
    with databases.maintenance(server) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, [server["dbname"]]).fetchone() is None:
            return True
    with client_programs.connect(server) as connection:
        query = "SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1"
        return connection.execute(query).fetchone() is None


def restore(
    repository: BackupRepository,
    name: str,
    *,
    replace: bool,
    progress: Progress = lambda step, done, of: None,
) -> Restored:
    """Restore `name` in place of the database of the settings.

    `replace`: also if that has tables; it is kept under another name. Raises BackupError,
    and then nothing was changed.
    """
    server = client_programs.server()
    summary = repository.summary(name)
    empty = is_empty(server)
    if not empty and not replace:
        raise BackupError(
            f"The database {server['dbname']} has tables. Add --replace: it is then kept "
            "under another name."
        )
    with (
        databases.exclusive(server) as connection,
        work_folder() as folder,
        databases.scratch_database(connection, server) as copy,
    ):
        keys = _fill(repository, summary, copy, folder, progress)
        progress("Replace the database", 0, 0)
        kept = _swap(connection, server["dbname"], copy["dbname"])
        if kept and empty:
            databases.drop(connection, kept)
            kept = ""
    return Restored(summary, kept, keys)


def _fill(
    repository: BackupRepository,
    summary: BackupSummary,
    copy: dict[str, Any],
    folder: Path,
    progress: Progress,
) -> dict[str, str]:
    """Restore into the copy, compare it, and bring it to this version; its keys."""
    contents = databases.load(repository, summary, copy, folder, progress)
    databases.compare(contents, copy, progress)
    keys = application_keys(summary, contents)
    progress("Migrate", 0, 0)
    environment = {**os.environ, **keys, "DATABASE_URL": databases.url(copy)}
    run_manage("migrate", environment, folder)
    with client_programs.connect(copy) as connection:
        # A process that knew the former database must notice that it is behind.
        connection.execute(
            sql.SQL(
                "UPDATE {} SET value = value + extract(epoch FROM now())::bigint"
            ).format(sql.Identifier(Epoch._meta.db_table))
        )
    return keys


def _swap(connection: psycopg.Connection, name: str, copy: str) -> str:
    """Put `copy` in place of `name`; the name under which that is kept."""
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    found = connection.execute(query, [name]).fetchone()
    kept = f"{name[:MOST_NAME]}{KEPT}{datetime.now(UTC):%Y%m%dT%H%M%S}" if found else ""
    try:
        if kept:
            _allow(connection, name, allow=False)
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(end, [name])
        with connection.transaction():
            for old, new in ((name, kept), (copy, name)):
                if new:
                    _rename(connection, old, new)
    except psycopg.Error as error:
        if kept:
            _allow(connection, name, allow=True)
        raise BackupError(f"The database could not be replaced: {error}") from None
    if kept:
        _allow(connection, kept, allow=True)
    return kept


def _allow(connection: psycopg.Connection, name: str, *, allow: bool) -> None:
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    connection.execute(statement.format(sql.Identifier(name), sql.Literal(allow)))


def _rename(connection: psycopg.Connection, old: str, new: str) -> None:
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    connection.execute(statement.format(sql.Identifier(old), sql.Identifier(new)))
