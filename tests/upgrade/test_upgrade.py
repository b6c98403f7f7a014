"""`manage.py upgrade` on databases of the version before."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as of_django
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone
from psycopg import sql
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from tests.fixtures_backups import BackupPlace
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.upgrade import pending

NAME = "upgrade_test"


@contextmanager
def database(name: str, template: str) -> Iterator[str]:
    """A database of that name, which this thread's Django connection then is to."""
    server = client_programs.server()
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    made = statement.format(sql.Identifier(name), sql.Identifier(template))
    before = connections["default"]
    with databases.maintenance(server) as maintenance:
        databases.drop(maintenance, name)
        maintenance.execute(made)
        connections["default"] = connections.create_connection("default")
        connections["default"].settings_dict = {**before.settings_dict, "NAME": name}
        try:
            yield databases.url({**server, "dbname": name})
        finally:
            connections["default"].close()
            connections["default"] = before
            databases.drop(maintenance, name)


@pytest.fixture(scope="module")
def installed(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[str, str]]:
    """The database of a new installation, and what the command said of it."""
    name = f"{NAME}_{os.getpid()}"
    with django_db_blocker.unblock(), database(name, "template0"):
        said = upgrade()
        connection.close()
        yield name, said


@pytest.fixture
def url(
    installed: tuple[str, str], django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """The URL of a copy of it."""
    name, _ = installed
    with django_db_blocker.unblock(), database(f"{name}_copy", name) as found:
        yield found


@pytest.fixture
def before(url: str) -> str:
    """The copy, without the newer migrations of llm."""
    call_command("migrate", "llm", "0011", verbosity=0)
    return url


def upgrade(*arguments: str, out: StringIO | None = None) -> str:
    out = out or StringIO()
    call_command("upgrade", *arguments, stdout=out, skip_checks=True)
    return out.getvalue()


def names() -> list[str]:
    return [one.name for one in pending.find()]


def test_upgrade__of_an_empty_database__makes_all_without_a_backup(
    installed: tuple[str, str], url: str
) -> None:
    _, said = installed
    assert "llm.0012_share_answers: safe while the version before serves\n" in said
    assert "Backup:" not in said
    assert re.search("Groups: .*Operator", said)
    assert "workers, 2. beat" in said
    assert not Backup.objects.exists()
    again = upgrade()
    assert (
        "No migration is pending.\nGroups: nothing to change\nSchedules: nothing to change\n"
        in again
    )


def test_upgrade__dry__names_each_migration_and_changes_nothing(before: str) -> None:
    was = names()
    said = upgrade("--dry-run")
    assert was[:2] == ["llm.0012_share_answers", "llm.0013_plain_texts"]
    assert all(f"{name}: safe while" in said for name in was)
    assert said.endswith("Nothing was changed.\n")
    assert names() == was


def test_upgrade__with_a_fresh_verified_backup__needs_no_other(before: str) -> None:
    hour = timezone.now() - timedelta(hours=1)
    Backup.objects.create(
        name="b", started_at=hour, state=BackupState.STORED, verified=True
    )
    said = upgrade()
    assert "Backup: last verified backup 1 hour ago\n" in said
    assert "llm.0012_share_answers: applied in" in said
    assert names() == []
    assert Backup.objects.count() == 1


def test_upgrade__without_a_fresh_backup__makes_and_verifies_one_first(
    before: str, tmp_path: Path
) -> None:
    place = BackupPlace(tmp_path)
    with place.start("upgrade", DATABASE_URL=before) as process:
        said, error = process.communicate()
    assert process.returncode == 0, error
    assert "Backup: no verified backup; making one ..." in said
    assert said.index("Backup: last verified backup") < said.index("applied in")
    found = Backup.objects.get()
    assert (found.by, found.verified) == ("upgrade", True)


def test_upgrade__that_changes_the_backups__needs_one_of_the_version_before(
    url: str,
) -> None:
    call_command("migrate", "backups", "0001", verbosity=0)
    with pytest.raises(CommandError, match="with the version that runs"):
        upgrade()
    assert "backups.0002" in names()[0]
    assert "backups.0002" in upgrade("--no-backup")


class Listener(StringIO):
    """Does something once a table was found in use."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then

    def write(self, text: str) -> int:
        if "is in use" in text:
            self._then()
        return super().write(text)


@contextmanager
def reader(url: str) -> Iterator[psycopg.Connection]:
    """A transaction that has read a table of a pending migration, and stays open."""
    call_command("migrate", "billing", "0014", verbosity=0)
    with psycopg.connect(url) as found:
        found.execute("SELECT count(*) FROM billing_apikey")
        yield found
        found.rollback()


def test_upgrade__while_a_table_is_in_use__waits_without_a_queue_and_goes_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "PAUSE_S", 0.0)
    with reader(url) as other:
        pid = other.info.backend_pid
        said = upgrade("--no-backup", "--stopped", out=Listener(other.rollback))
    assert "billing.0015_api_key_issuer: its table is in use" in said
    assert f"server process {pid}, open for 00:00:0" in said
    assert "try 1 of 60" in said
    assert "try 2" not in said
    assert names() == []
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_upgrade__while_a_table_stays_in_use__gives_up_and_goes_on_the_next_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "PAUSE_S", 0.0)
    monkeypatch.setattr(pending, "TRIES", 2)
    monkeypatch.setattr(pending, "LOCK_TIMEOUT", "50ms")
    with reader(url), pytest.raises(CommandError, match="got no lock in 2 tries"):
        upgrade("--no-backup", "--stopped")
    assert names()[0] == "billing.0015_api_key_issuer"
    assert "applied in" in upgrade("--no-backup", "--stopped")


def test_upgrade__with_a_risky_migration__wants_all_else_stopped(url: str) -> None:
    call_command("migrate", "billing", "0014", verbosity=0)
    with pytest.raises(CommandError, match=r"billing\.0015_api_key_issuer\. Stop web"):
        upgrade("--no-backup")
    said = upgrade("--no-backup", "--stopped")
    assert "apikey: adds issuer, for which the running version inserts no value" in said
    assert names() == []


def test_upgrade__two_at_once__apply_each_migration_once(before: str) -> None:
    command = [sys.executable, str(of_django.BASE_DIR / "manage.py"), "upgrade"]
    pair = [
        subprocess.Popen(
            [*command, "--no-backup"],
            env={**os.environ, "DATABASE_URL": before},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert sum("llm.0012_share_answers: applied in" in one for one in said) == 1
    assert sum("No migration is pending." in one for one in said) == 1


def test_upgrade__redis_does_not_answer__says_so_and_changes_nothing(
    before: str, settings: Settings
) -> None:
    nowhere: dict[str, Any] = {
        **settings.CACHES["default"],
        "LOCATION": "redis://127.0.0.1:1/0",
    }
    settings.CACHES = {**settings.CACHES, "default": nowhere}
    was = names()
    with pytest.raises(CommandError, match="Redis at REDIS_URL does not answer"):
        upgrade("--no-backup")
    assert names() == was


def test_upgrade__of_a_database_that_takes_no_writes__says_so(before: str) -> None:
    with psycopg.connect(before, autocommit=True) as other:
        name = sql.Identifier(other.info.dbname)
        change = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
        other.execute(change.format(name))
    connection.close()
    with pytest.raises(CommandError, match="PostgreSQL: .*read-only transaction"):
        upgrade("--no-backup")


def test_upgrade__static_files_of_this_machine__are_collected(
    url: str, settings: Settings, tmp_path: Path
) -> None:
    settings.WHITENOISE_USE_FINDERS = False
    settings.STATIC_ROOT = tmp_path / "static"
    assert f"Static files: {settings.STATIC_ROOT}" in upgrade()
    assert any(settings.STATIC_ROOT.rglob("*.css"))
