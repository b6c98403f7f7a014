"""A verified backup that all tests share, and a place of the test's own for backups."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as of_django
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from tests.fixtures_billing import make_customer, make_price, make_provider, make_route
from tests.tables import empty_tables
from valuecanvas.backups import creation, encryption
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.backups.rehearsal import rehearse
from valuecanvas.backups.repository import (
    REHEARSAL,
    SUMMARY,
    BackupRepository,
    new_name,
)
from valuecanvas.backups.types import BackupSummary, Rehearsal


@dataclass(frozen=True)
class BackupPlace:
    """Folders of the test's own: the storage of backups, and plain data under way."""

    folder: Path

    @property
    def storage(self) -> Path:
        return self.folder / "backups"

    @property
    def work(self) -> Path:
        return self.folder / "backup-work"

    def settings(self) -> dict[str, Any]:
        options = {
            **of_django.STORAGES["backups"]["OPTIONS"],
            "location": str(self.storage),
        }
        backups = {**of_django.STORAGES["backups"], "OPTIONS": options}
        return {
            "BACKUP_WORK_DIR": str(self.work),
            "STORAGES": {**of_django.STORAGES, "backups": backups},
        }

    def rests(self) -> list[Path]:
        """Plain data that was left behind."""
        return list(self.work.glob("*"))

    def start(
        self,
        *arguments: str,
        prepare: Callable[[], None] | None = None,
        errors: int = subprocess.PIPE,
        **env: str,
    ) -> "subprocess.Popen[str]":
        """A command of manage.py in a process of its own, on the test's database."""
        return subprocess.Popen(
            [sys.executable, str(of_django.BASE_DIR / "manage.py"), *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            preexec_fn=prepare,
            env={
                **os.environ,
                "DATABASE_URL": databases.url(client_programs.server()),
                "BACKUP_DIR": str(self.storage),
                "BACKUP_WORK_DIR": str(self.work),
                "BACKUP_KEY": of_django.BACKUP_KEY,
                **env,
            },
        )

    def program(self, name: str, script: str, *, version: str = "") -> str:
        """A folder for BACKUP_PG_BIN in which the program `name` is a shell script.

        In it, `$real` is the program itself, and `$folder` the test's folder. `version`
        is what the script says of itself; else it says the program's own.
        """
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        with databases.maintenance(client_programs.server()) as connection:
            of_server = connection.info.server_version
        for one in ("pg_dump", "pg_restore"):
            real = client_programs.find(one, of_server)
            says = f"echo '{version}'" if version else '"$real" --version'
            text = f'[ "$1" = --version ] && {{ {says}; exit; }}\n{script}\n'
            path = folder / one
            path.write_text(
                f"#!/bin/sh\nreal='{real}'\nfolder='{self.folder}'\n"
                + (text if one == name else 'exec "$real" "$@"\n')
            )
            path.chmod(0o700)
        return str(folder)


@dataclass(frozen=True)
class VerifiedBackup:
    """A verified backup, and the folder that it is in. It is shared: copy it."""

    folder: Path
    summary: BackupSummary
    rehearsal: Rehearsal


@pytest.fixture
def backup_place(
    transactional_db: None, tmp_path: Path, settings: Any
) -> Iterator[BackupPlace]:
    """The settings lead there. Nothing plain is left behind, whatever the test did."""
    found = BackupPlace(tmp_path)
    for name, value in found.settings().items():
        setattr(settings, name, value)
    yield found
    assert found.rests() == []
    assert scratch_databases() == []


@pytest.fixture(scope="session")
def verified_backup(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> VerifiedBackup:
    """Of a database with a customer, and a provider whose key is encrypted."""
    place = BackupPlace(tmp_path_factory.mktemp("verified"))
    with django_db_blocker.unblock(), override_settings(**place.settings()), _rows():
        repository, name = BackupRepository(), new_name()
        with databases.exclusive(client_programs.server()) as connection:
            summary = creation.create(repository, name)
            rehearsal = rehearse(repository, name, connection)
    assert rehearsal.ok, rehearsal.failure
    return VerifiedBackup(place.storage / name, summary, rehearsal)


@contextmanager
def _rows() -> Iterator[None]:
    try:
        provider = make_provider(api_key="sk-of-the-provider")
        route = make_route(provider=provider)
        make_price(provider.key, route.upstream_model)
        make_customer()
        yield
    finally:
        empty_tables()


@pytest.fixture
def stored_backup(verified_backup: VerifiedBackup, backup_place: BackupPlace) -> Path:
    """The folder of a copy of the verified backup, in the test's own storage."""
    source = verified_backup.folder
    return Path(shutil.copytree(source, backup_place.storage / source.name))


@pytest.fixture
def own_database(backup_place: BackupPlace, settings: Any) -> Iterator[dict[str, Any]]:
    """The parameters of a database that is not there yet, for backups to work on.

    A restore replaces it: never that of the test run.
    """
    server = client_programs.server()
    own = {**server, "dbname": f"own_{secrets.token_hex(4)}"}
    settings.BACKUP_DATABASE_URL = databases.url(own)
    yield client_programs.server()
    with databases.maintenance(server) as connection:
        for name in databases_like(own["dbname"]):
            databases.drop(connection, name)


def databases_like(begin: str) -> list[str]:
    """The names of the databases whose name begins so."""
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1"
    with databases.maintenance(client_programs.server()) as connection:
        return [name for (name,) in connection.execute(query, [begin]).fetchall()]


def copy_backup(source: Path, *, days: int) -> Path:
    """A copy beside it, as if made that many days before."""
    summary = encryption.unseal((source / SUMMARY).read_bytes())
    made_at = datetime.fromisoformat(summary["made_at"]) - timedelta(days=days)
    name = f"{made_at:%Y%m%dT%H%M%SZ}-{source.name[-6:]}"
    folder = Path(shutil.copytree(source, source.parent / name))
    rehearsal = encryption.unseal((source / REHEARSAL).read_bytes())
    older = {**summary, "name": name, "made_at": made_at.isoformat()}
    (folder / SUMMARY).write_bytes(encryption.seal(older))
    (folder / REHEARSAL).write_bytes(encryption.seal({**rehearsal, "name": name}))
    return folder


def scratch_databases() -> list[str]:
    """Those of the database that backups work on."""
    return databases_like(client_programs.server()["dbname"] + databases.MARK)


def wait_until(state: Callable[[], object], seconds: float = 120) -> None:
    """Wait for a state that a process of its own brings about."""
    deadline = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < deadline, "It does not come."
        time.sleep(0.05)
