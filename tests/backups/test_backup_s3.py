"""Backups in an object storage: moto's server speaks S3 on a port of its own."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from moto.server import ThreadedMotoServer

from tests.fixtures_backups import BackupPlace, VerifiedBackup
from valuecanvas.backups.errors import BackupError, DamagedBackup
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.postgresql import client_programs
from valuecanvas.backups.repository import (
    CONTENTS,
    DUMP,
    SUMMARY,
    BackupRepository,
)
from valuecanvas.settings.backups import _BUCKET

BUCKET = "backups-of-a-test"
OTHER = "valuecanvas/20260101T000000Z/notes.txt"


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for credentials at the address of a cloud."""
    connect = socket.socket.connect

    def guard(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"
        assert host in ("127.0.0.1", "::1", "localhost"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guard)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(
    endpoint: str,
    backup_place: BackupPlace,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """A bucket that the settings lead to; it holds a file of somebody else."""
    requests.post(f"{endpoint}/moto-api/reset", timeout=60)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-aws",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    choose(settings, bucket_name=BUCKET, endpoint_url=endpoint)
    found = boto3.resource("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
    found.put_object(Key=OTHER, Body=b"not ours")
    return found


def choose(settings: Any, **options: Any) -> None:
    """What BACKUP_S3_BUCKET and BACKUP_S3_ENDPOINT would choose."""
    given = {"location": "valuecanvas", **options}
    backups = {**_BUCKET, "OPTIONS": {**_BUCKET["OPTIONS"], **given}}
    settings.STORAGES = {**settings.STORAGES, "backups": backups}


def keys(bucket: Any) -> set[str]:
    return {one.key for one in bucket.objects.all()}


@pytest.fixture
def held(bucket: Any, verified_backup: VerifiedBackup) -> str:
    """The name of the verified backup, put into the bucket."""
    name = verified_backup.folder.name
    for path in verified_backup.folder.iterdir():
        bucket.upload_file(str(path), f"valuecanvas/{name}/{path.name}")
    return name


def test_backup__into_a_bucket__is_restored_from_it(
    bucket: Any, own_database: dict[str, Any], settings: Any, capsys: Any
) -> None:
    own, settings.BACKUP_DATABASE_URL = settings.BACKUP_DATABASE_URL, ""
    call_command("backup", "--no-verify")
    name = Backup.objects.get().name
    parts = {DUMP, CONTENTS, SUMMARY}
    assert keys(bucket) == {OTHER, *(f"valuecanvas/{name}/{one}" for one in parts)}
    settings.BACKUP_DATABASE_URL = own
    call_command("restore")
    assert f"{name}: restored" in capsys.readouterr().out
    with client_programs.connect(own_database) as connection:
        row: Any = connection.execute("SELECT name FROM backups_backup").fetchone()
    assert row[0] == name


def test_repository__in_a_bucket__lists_and_fetches(
    held: str, verified_backup: VerifiedBackup, tmp_path: Path
) -> None:
    repository = BackupRepository()
    [entry] = repository.entries()
    assert entry.verified
    assert entry.summary == verified_backup.summary
    for part in (DUMP, CONTENTS):
        repository.fetch(entry.summary, part, tmp_path / part)
        expected = (verified_backup.folder / part).read_bytes()
        assert (tmp_path / part).read_bytes() == expected
    assert b"".join(repository.pieces(held, SUMMARY)).startswith(b"{")


@pytest.mark.parametrize("part", [DUMP, CONTENTS, SUMMARY])
def test_repository__in_a_bucket__finds_what_is_missing_or_cut(
    bucket: Any, held: str, part: str
) -> None:
    key = bucket.Object(f"valuecanvas/{held}/{part}")
    raw = key.get()["Body"].read()
    key.put(Body=raw[:-1])
    [entry] = BackupRepository().entries()
    assert part in entry.problem
    key.delete()
    [entry] = BackupRepository().entries()
    assert entry.problem == f"{part} is missing."
    with pytest.raises(DamagedBackup, match=f"There is no {part}"):
        list(BackupRepository().pieces(held, part))


def test_repository__in_a_bucket__deletes_its_own_only(bucket: Any, held: str) -> None:
    BackupRepository().delete(held)
    assert keys(bucket) == {OTHER}
    # Once more: nothing to do.
    BackupRepository().delete(held)
    assert BackupRepository().entries() == []


def test_repository__a_large_part__is_not_read_into_memory(bucket: Any) -> None:
    storage: Any = storages["backups"]
    size = storage.max_memory_size + 1
    bucket.put_object(Key="valuecanvas/large", Body=bytes(size))
    with storage.open("large") as file:
        assert len(file.read(9)) == 9
        # From here on it is a file of the file system.
        assert file.file.fileno()
        assert file.file._rolled


def test_bucket__missing__is_said_and_the_row_has_failed(
    bucket: Any, endpoint: str, settings: Any
) -> None:
    choose(settings, bucket_name="no-such-bucket", endpoint_url=endpoint)
    for command in ("list_backups", "prune_backups", "verify_backup", "restore"):
        with pytest.raises(
            CommandError, match="storage of backups failed.*NoSuchBucket"
        ):
            call_command(command)
    with pytest.raises(CommandError, match="NoSuchBucket"):
        call_command("backup", "--no-verify")
    row = Backup.objects.get()
    assert row.state == BackupState.FAILED
    assert "NoSuchBucket" in row.error


def test_endpoint__nobody_there__is_said(bucket: Any, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    choose(settings, bucket_name=BUCKET, endpoint_url=f"http://127.0.0.1:{port}")
    with pytest.raises(BackupError, match="Could not connect to the endpoint URL"):
        BackupRepository().entries()


def test_credentials__missing__are_said(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(BackupError, match="Unable to locate credentials"):
        BackupRepository().entries()


def test_credentials__wrong__are_said_without_the_secret(
    bucket: Any, held: str, endpoint: str
) -> None:
    # From now on the server checks who asks.
    requests.post(f"{endpoint}/moto-api/reset-auth", data=b"0", timeout=60)
    try:
        with pytest.raises(BackupError, match="InvalidAccessKeyId") as error:
            BackupRepository().entries()
        with pytest.raises(CommandError, match="InvalidAccessKeyId"):
            call_command("backup", "--no-verify")
    finally:
        requests.post(f"{endpoint}/moto-api/reset-auth", data=b"inf", timeout=60)
    assert "a-secret-of-aws" not in str(error.value)
