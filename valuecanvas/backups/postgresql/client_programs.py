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
# libpq's parameters and their variables, if they have one: a password on the command line
# could be read by every user.
_VARIABLES = {
    one.keyword.decode(): one.envvar.decode() if one.envvar else ""
    for one in pq.Conninfo.get_defaults()
}
# Hashes and indexes of large tables take longer than a page may wait, and the holder of the
# lock of backups waits for them. An older server lacks some.
_NO_TIMEOUTS = """
SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN (
    'statement_timeout', 'lock_timeout', 'transaction_timeout',
    'idle_session_timeout', 'idle_in_transaction_session_timeout'
)
"""
# Since then pg_restore sets a parameter that older servers lack (transaction_timeout).
NEW_PARAMETER = 17
# The last lines of an error say what failed.
MOST_ERROR = 2000


def server() -> dict[str, Any]:
    """The connection parameters of the database that is backed up.

    BACKUP_DATABASE_URL leads past a connection pooler, which cannot keep a snapshot.
    Raises BackupError if it is of no use.
    """
    if settings.BACKUP_DATABASE_URL:
        try:
            given = conninfo_to_dict(settings.BACKUP_DATABASE_URL)
        except psycopg.Error:
            # Without the reason, which quotes the password.
            given = {}
        if not given.get("dbname"):
            raise BackupError("BACKUP_DATABASE_URL is not a URL that names a database.")
        return dict(given)
    found = connections["default"].get_connection_params()
    return {name: value for name, value in found.items() if name in _VARIABLES}


@contextmanager
def connect(
    parameters: dict[str, Any], *, autocommit: bool = False
) -> Iterator[psycopg.Connection]:
    """A connection, closed after the block.

    Raises BackupError, without the password, if the database fails.
    """
    try:
        with psycopg.connect(
            autocommit=autocommit,
            **{**parameters, "application_name": "valuecanvas backup"},
        ) as connection:
            connection.execute(_NO_TIMEOUTS)
            if not autocommit:
                connection.commit()
            yield connection
    except psycopg.Error as error:
        text = " ".join(str(error).split())
        raise BackupError(f"The database {parameters['dbname']}: {text}") from None


def find(name: str, server_version: int) -> str:
    """The installed `name` (pg_dump, pg_restore) that is closest to the server.

    It is not older. `server_version` is libpq's number, as 160004. Raises BackupError.
    """
    wanted = server_version // 10_000
    found = {path: _major(path) for path in _candidates(name)}
    fitting = [path for path in found if _fits(name, found[path], wanted)]
    if fitting:
        return str(min(fitting, key=lambda path: found[path]))
    remedy = f"Install postgresql-client-{wanted}, or set BACKUP_PG_BIN to its folder."
    others = {path: major for path, major in found.items() if major}
    if not others:
        where = f"in {settings.BACKUP_PG_BIN}" if settings.BACKUP_PG_BIN else "here"
        raise BackupError(f"There is no {name} {where}. {remedy}")
    path, major = max(others.items(), key=lambda one: one[1])
    age = "older than" if major < wanted else "too new for"
    raise BackupError(
        f"{path} is of PostgreSQL {major}, {age} the server's {wanted}. {remedy}"
    )


def _fits(name: str, major: int, wanted: int) -> bool:
    if name == "pg_restore" and wanted < NEW_PARAMETER <= major:
        return False
    return major >= wanted


def _candidates(name: str) -> Iterator[Path]:
    if settings.BACKUP_PG_BIN:
        # The operator's choice is the only one.
        path = Path(settings.BACKUP_PG_BIN) / name
        if path.is_file():
            yield path
        return
    # Before those on the PATH, which on Debian are a script that chooses one of these.
    yield from DEBIAN.glob(f"*/bin/{name}")
    if on_path := shutil.which(name):
        yield Path(on_path)
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
            raise BackupError(
                f"{name} failed, exit status {process.returncode}: {end_of(messages)}"
            )


def _environment(parameters: dict[str, Any]) -> dict[str, str]:
    return {
        _VARIABLES[name]: str(value)
        for name, value in parameters.items()
        if _VARIABLES.get(name) and value is not None
    }


def end_of(messages: IO[bytes]) -> str:
    messages.seek(0)
    text = messages.read().decode("utf-8", "replace").strip()
    return text[-MOST_ERROR:] or "it said nothing"
