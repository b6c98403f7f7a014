"""Makes a backup: one snapshot of the database, dumped, hashed and encrypted."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from valuecanvas.backups import encryption
from valuecanvas.backups.encryption import HashingFile
from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.postgresql import client_programs, table_digests
from valuecanvas.backups.repository import (
    CONTENTS,
    DUMP,
    SUMMARY,
    BackupRepository,
    work_folder,
)
from valuecanvas.backups.types import (
    BackupSummary,
    Contents,
    Progress,
    StoredFile,
    Table,
    quiet,
)

# The settings without which a restored database is of little use.
KEY_SETTINGS = ("SECRET_KEY", "KEY_PEPPER", "FIELD_KEY")
DUMPING = "Dump and hash"


def create(
    repository: BackupRepository,
    name: str,
    progress: Progress = quiet,
) -> BackupSummary:
    """Make the backup `name`. Raises BackupError; then nothing of it is left.

    The caller holds the lock of backups.
    """
    recipient = encryption.recipient()
    server = client_programs.server()
    try:
        with work_folder() as folder, client_programs.connect(server) as connection:
            files, found = _dump(connection, server, folder, progress)
            summary = BackupSummary(
                name=name,
                made_at=datetime.now(UTC),
                recipient=recipient,
                files=files,
                tables=len(found),
                rows=sum(one.rows for one in found.values()),
                server_version=connection.info.server_version,
                version=str(settings.SPECTACULAR_SETTINGS["VERSION"]),
                has_keys=settings.BACKUP_WITH_KEYS,
                fingerprints={
                    key: encryption.fingerprint(getattr(settings, key))
                    for key in KEY_SETTINGS
                },
            )
            progress("Store", 0, 0)
            for part in files:
                repository.put(name, part, folder / part)
            # Last: without it this is no backup.
            repository.put_document(name, SUMMARY, summary.document())
    except BaseException:
        _undo(repository, name)
        raise
    return summary


def _undo(repository: BackupRepository, name: str) -> None:
    try:
        repository.delete(name)
    except BackupError:
        # The storage failed: what is left has no summary, and is no backup.
        return


def _dump(
    connection: psycopg.Connection,
    server: dict[str, Any],
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, StoredFile], dict[str, Table]]:
    """Dump and hash one snapshot, both at once."""
    program = client_programs.find("pg_dump", connection.info.server_version)
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    row: Any = connection.execute("SELECT pg_export_snapshot()").fetchone()
    arguments = [
        *(program, "--format=custom", "--compress=1", "--no-password"),
        *("--no-owner", "--no-privileges", f"--snapshot={row[0]}"),
    ]

    def dump() -> StoredFile:
        def copy(target: HashingFile) -> None:
            with client_programs.run(arguments, server, folder) as output:
                encryption.encrypt(output, target)

        return _write(folder / DUMP, copy, lambda size: progress(DUMPING, size, 0))

    # The thread only repeats this step: a new one is written into the database.
    progress(DUMPING, 0, 0)
    with ThreadPoolExecutor(1) as threads:
        dumped = threads.submit(dump)
        try:
            table_digests.prepare(connection)
            found = table_digests.digests(connection)
        finally:
            # The snapshot must outlive the dump.
            files = {DUMP: dumped.result()}
    connection.rollback()
    keys = (
        {key: str(getattr(settings, key)) for key in KEY_SETTINGS}
        if settings.BACKUP_WITH_KEYS
        else {}
    )
    plain = json.dumps(Contents(found, keys).document()).encode()
    files[CONTENTS] = _write(
        folder / CONTENTS, lambda target: encryption.encrypt(BytesIO(plain), target)
    )
    return files, found


def _write(
    path: Path,
    fill: Callable[[HashingFile], None],
    report: Callable[[int], None] = lambda size: None,
) -> StoredFile:
    with path.open("wb") as file:
        target = HashingFile(file, report)
        fill(target)
    return StoredFile(target.size, target.sha256)
