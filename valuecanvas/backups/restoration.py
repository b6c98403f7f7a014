"""Restores a backup: into a database beside the one in use, which it then replaces.

So a failure at any point leaves the database in use as it was.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
from django.conf import settings
from psycopg import sql

from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.backups.rehearsal import application_keys, run_manage
from valuecanvas.backups.repository import BackupRepository, work_folder
from valuecanvas.backups.types import BackupSummary, Progress, quiet
from valuecanvas.core.models import Epoch

# The former database is kept under its name with this and the time.
KEPT = "_before_"
_END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
)
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
    progress: Progress = quiet,
) -> Restored:
    """Restore `name` in place of the database of the settings.

    `replace`: also if that has tables; it is kept under another name. Raises BackupError,
    and then nothing was changed.
    """
    server = client_programs.server()
    summary = repository.summary(name)
    if not replace and not is_empty(server):
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
        kept = _swap(connection, server, copy["dbname"])
        # Asked again: somebody may have used it since.
        if kept and is_empty({**server, "dbname": kept}):
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


def _swap(connection: psycopg.Connection, server: dict[str, Any], copy: str) -> str:
    """Put `copy` in place of the database; the name under which that is kept.

    In one transaction: a process that dies in it changes nothing.
    """
    name = server["dbname"]
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    found = connection.execute(query, [name]).fetchone()
    kept = f"{name[:MOST_NAME]}{KEPT}{datetime.now(UTC):%Y%m%dT%H%M%S}" if found else ""
    try:
        with _sessions_ended(server), connection.transaction():
            if kept:
                _rename(connection, name, kept)
            _rename(connection, copy, name)
    except psycopg.Error as error:
        raise BackupError(f"The database could not be replaced: {error}") from None
    return kept


@contextmanager
def _sessions_ended(server: dict[str, Any]) -> Iterator[None]:
    """End the sessions of the database during the block, also those that come again.

    To rename it, PostgreSQL locks out new ones, and waits 5 s for the others.
    """
    done = Event()

    def end() -> None:
        with databases.maintenance(server) as connection:
            connection.execute(_END_SESSIONS, [server["dbname"]])
            while not done.wait(0.1):
                connection.execute(_END_SESSIONS, [server["dbname"]])

    with ThreadPoolExecutor(1) as threads:
        threads.submit(end)
        try:
            yield
        finally:
            done.set()


def _rename(connection: psycopg.Connection, old: str, new: str) -> None:
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    connection.execute(statement.format(sql.Identifier(old), sql.Identifier(new)))
