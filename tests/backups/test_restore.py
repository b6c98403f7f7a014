"""S26: restores: the copy takes the place of a database, or nothing changes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection as of_django

from tests.fixtures_backups import BackupPlace, databases_like, wait_until
from valuecanvas.backups import creation
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.backups.repository import DUMP, BackupRepository, new_name, work_folder
from valuecanvas.backups.types import quiet
from valuecanvas.core.db import epoch
from valuecanvas.core.db.epoch import ChangesPurged

Server = dict[str, Any]


def create(server: Server) -> None:
    with databases.maintenance(server) as connection:
        connection.execute(f"CREATE DATABASE {server['dbname']}")


def execute(server: Server, statement: str) -> list[Any]:
    with client_programs.connect(server) as connection:
        found = connection.execute(statement)
        return found.fetchall() if found.description else []


@pytest.fixture
def used(own_database: Server) -> Server:
    """A database that is in use: it has a table, which no backup has."""
    create(own_database)
    execute(own_database, "CREATE TABLE former AS SELECT 1 AS one")
    return own_database


@contextmanager
def assert_untouched(used: Server) -> Iterator[None]:
    """The sessions of the block stay, new ones come, and there is no other database."""
    with client_programs.connect(used) as open_before:
        yield
        assert open_before.execute("SELECT one FROM former").fetchall() == [(1,)]
    assert execute(used, "SELECT one FROM former") == [(1,)]
    assert databases_like(used["dbname"]) == [used["dbname"]]


def assert_is_the_backup(server: Server) -> None:
    rows = execute(server, "SELECT count(*) FROM billing_customer")
    assert rows == [(1,)]


def test_restore__database_with_tables__is_refused_without_replace(
    stored_backup: Path, used: Server
) -> None:
    with (
        assert_untouched(used),
        pytest.raises(
            CommandError, match=f"{used['dbname']} has tables. Add --replace"
        ),
    ):
        call_command("restore")


@contextmanager
def clients(server: Server) -> Iterator[list[list[str]]]:
    """Two that ask all the time, and come again when they are cut off; their answers."""
    over, seen = threading.Event(), [["none"], ["none"]]

    def ask(answers: list[str]) -> None:
        while not over.is_set():
            with suppress(psycopg.OperationalError), psycopg.connect(**server) as one:
                while not over.wait(0.01):
                    row: Any = one.execute("SELECT to_regclass('former')").fetchone()
                    answers.append("former" if row[0] else "restored")

    threads = [threading.Thread(target=ask, args=[one]) for one in seen]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_restore__replace_under_load__keeps_the_former_and_raises_the_epoch(
    stored_backup: Path, used: Server, capsys: Any
) -> None:
    before = epoch.current()
    with clients(used) as seen:
        call_command("restore", "--replace")
        wait_until(lambda: {one[-1] for one in seen} == {"restored"})
    for answers in seen:
        assert answers[1] == "former"
        # Never back again.
        assert answers[1:] == sorted(answers[1:])
    told = capsys.readouterr().out.splitlines()
    name, kept = databases_like(used["dbname"])
    assert told[0] == f"The former database is kept as {kept}."
    assert told[-1].startswith(f"{stored_backup.name}: restored, ")
    assert kept.startswith(f"{used['dbname']}_before_")
    assert execute({**used, "dbname": kept}, "SELECT one FROM former") == [(1,)]
    assert_is_the_backup(used)
    with on_database(used), pytest.raises(ChangesPurged):
        # A process that served from the former one loads all of it again.
        epoch.changes_since(before)


@contextmanager
def on_database(server: Server) -> Iterator[None]:
    """Django's connection leads there."""
    before = of_django.settings_dict["NAME"]
    of_django.close()
    of_django.settings_dict["NAME"] = server["dbname"]
    try:
        yield
    finally:
        of_django.close()
        of_django.settings_dict["NAME"] = before


def test_restore__empty_database__takes_its_place(
    stored_backup: Path, own_database: Server, capsys: Any
) -> None:
    create(own_database)
    call_command("restore", stored_backup.name)
    assert "kept" not in capsys.readouterr().out
    assert databases_like(own_database["dbname"]) == [own_database["dbname"]]
    assert_is_the_backup(own_database)


def test_restore__damaged_file__changes_nothing(
    stored_backup: Path, used: Server
) -> None:
    raw = bytearray((stored_backup / DUMP).read_bytes())
    raw[1000] ^= 1
    (stored_backup / DUMP).write_bytes(raw)
    with assert_untouched(used), pytest.raises(CommandError, match="SHA-256 differs"):
        call_command("restore", "--replace")


def test_restore__pg_restore_fails__changes_nothing(
    stored_backup: Path, used: Server, backup_place: BackupPlace, settings: Any
) -> None:
    settings.BACKUP_PG_BIN = backup_place.program("pg_restore", "echo no >&2; exit 3")
    with (
        assert_untouched(used),
        pytest.raises(CommandError, match="pg_restore failed, exit status 3: no"),
    ):
        call_command("restore", "--replace")


def test_restore__the_copy_is_in_use__changes_nothing(
    stored_backup: Path, used: Server, backup_place: BackupPlace, settings: Any
) -> None:
    psql = '"$(dirname "$real")/psql" "$url" -c "SELECT pg_sleep(600)"'
    script = f'"$real" "$@" && (url=$(echo "$*" | sed "s/.*--dbname=\\([^ ]*\\).*/\\1/"); {psql} > /dev/null 2>&1 &)'
    settings.BACKUP_PG_BIN = backup_place.program("pg_restore", script)
    with (
        assert_ended(used),
        pytest.raises(
            CommandError, match="could not be replaced: database .* is being"
        ),
    ):
        call_command("restore", "--replace")


@contextmanager
def assert_ended(used: Server) -> Iterator[None]:
    """As `assert_untouched`, but its sessions were ended before that was known."""
    yield
    assert execute(used, "SELECT one FROM former") == [(1,)]
    assert databases_like(used["dbname"]) == [used["dbname"]]


def test_restore__another_is_under_way__is_refused(
    stored_backup: Path, used: Server
) -> None:
    with (
        assert_untouched(used),
        databases.exclusive(client_programs.server()),
        pytest.raises(CommandError, match="a restore, is under way"),
    ):
        call_command("restore", "--replace")


def test_restore__no_backup_or_no_name__is_said(
    stored_backup: Path, used: Server
) -> None:
    with pytest.raises(CommandError, match="../x is no backup: list_backups shows"):
        call_command("restore", "../x", "--replace")
    with pytest.raises(CommandError, match="There is no summary.json of 2026"):
        call_command("restore", "20260101T000000Z-abcdef", "--replace")
    (stored_backup / DUMP).unlink()
    with pytest.raises(CommandError, match="There is no usable backup"):
        call_command("restore", "--replace")


@pytest.fixture
def old_backup(stored_backup: Path, own_database: Server) -> Server:
    """The database to change before `back_up_old`: it holds the verified backup."""
    create(own_database)
    repository = BackupRepository()
    summary = repository.summary(stored_backup.name)
    with work_folder() as folder:
        databases.load(repository, summary, own_database, folder, quiet)
    return own_database


def back_up(server: Server, *changes: str) -> str:
    """The name of a backup of the database, made after the `changes`."""
    for change in changes:
        execute(server, change)
    return creation.create(BackupRepository(), new_name()).name


def test_restore__made_before_a_migration__is_migrated(old_backup: Server) -> None:
    with on_database(old_backup):
        call_command("migrate", "llm", "0013", verbosity=0)
    name = back_up(old_backup)
    call_command("restore", name, "--replace")
    assert execute(old_backup, "SELECT count(*) FROM llm_job") == [(0,)]


def test_restore__migrate_fails__changes_nothing(
    old_backup: Server, settings: Any
) -> None:
    name = back_up(old_backup, "DELETE FROM django_migrations WHERE app = 'billing'")
    execute(old_backup, "CREATE TABLE former AS SELECT 1 AS one")
    with assert_untouched(old_backup), pytest.raises(CommandError) as error:
        call_command("restore", name, "--replace")
    assert str(error.value).startswith("migrate failed: ")
    assert settings.BACKUP_KEY not in str(error.value)
