"""Runs pg_dump and pg_restore, of a version that fits the server."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from valuecanvas.backups.errors import BackupError
from valuecanvas.embedded import binaries
from valuecanvas.embedded.errors import EngineError

DEBIAN = Path("/usr/lib/postgresql")
# libpq's variables: a password on the command line could be read by every user.
_VARIABLES = {
    one.keyword.decode(): one.envvar.decode()
    for one in pq.Conninfo.get_defaults()
    if one.envvar
}
# The last lines of an error say what failed.
MOST_ERROR = 2000


def server() -> dict[str, Any]:
    """The connection parameters of the database that is backed up.

    BACKUP_DATABASE_URL leads past a connection pooler, which cannot keep a snapshot.
    """
    if settings.BACKUP_DATABASE_URL:
        return dict(conninfo_to_dict(settings.BACKUP_DATABASE_URL))
    found = connections["default"].get_connection_params()
    return {name: value for name, value in found.items() if name in _VARIABLES}


def connect(
    parameters: dict[str, Any], *, autocommit: bool = False
) -> psycopg.Connection:
    """Raises BackupError, without the password."""
    try:
        found = psycopg.connect(
            **parameters, autocommit=autocommit, application_name="valuecanvas backup"
        )
    except psycopg.OperationalError as error:
        raise BackupError(f"The database cannot be reached: {error}") from None
    # Hashes and indexes of large tables take longer than a page may wait.
    found.execute("SET statement_timeout = 0")
    found.commit()
    return found


def find(name: str, server_version: int) -> str:
    """The newest installed `name` (pg_dump, pg_restore), not older than the server.

    `server_version` is libpq's number, as 160004. Raises BackupError.
    """
    found = {path: _major(path) for path in _candidates(name)}
    newest = max(found, key=lambda path: found[path], default=None)
    wanted = server_version // 10_000
    remedy = f"Install postgresql-client-{wanted} or newer, or set BACKUP_PG_BIN to its folder."
    if newest is None or not found[newest]:
        raise BackupError(f"There is no {name} on this machine. {remedy}")
    if found[newest] < wanted:
        raise BackupError(
            f"{newest} is of PostgreSQL {found[newest]}, older than the server's "
            f"{wanted}. {remedy}"
        )
    return str(newest)


def _candidates(name: str) -> Iterator[Path]:
    if settings.BACKUP_PG_BIN:
        # The operator's choice is the only one.
        path = Path(settings.BACKUP_PG_BIN) / name
        if path.is_file():
            yield path
        return
    if on_path := shutil.which(name):
        yield Path(on_path)
    yield from DEBIAN.glob(f"*/bin/{name}")
    try:
        in_wheel = Path(binaries.postgres().tool(name))
    except EngineError:
        return
    if in_wheel.is_file():
        yield in_wheel


def _major(path: Path) -> int:
    """The major version that the program prints; 0 if it does not start."""
    try:
        asked = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"(\d+)", asked.stdout)
    return int(found.group()) if found else 0


@contextmanager
def run(
    arguments: list[str], parameters: dict[str, Any], folder: Path
) -> Iterator[IO[bytes]]:
    """Run a program of PostgreSQL; yields what it prints.

    Raises BackupError with the end of its messages if it fails. They go to a file in
    `folder`, as nobody reads them while it runs.
    """
    name = Path(arguments[0]).name
    with (folder / f"{name}.log").open("w+b") as messages:
        with subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            env={**os.environ, **_environment(parameters)},
        ) as process:
            try:
                yield cast(IO[bytes], process.stdout)
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            raise BackupError(f"{name} failed: {end_of(messages)}")


def _environment(parameters: dict[str, Any]) -> dict[str, str]:
    return {
        _VARIABLES[name]: str(value)
        for name, value in parameters.items()
        if name in _VARIABLES and value is not None
    }


def end_of(messages: IO[bytes]) -> str:
    messages.seek(0)
    text = messages.read().decode("utf-8", "replace").strip()
    return text[-MOST_ERROR:] or "it said nothing"
