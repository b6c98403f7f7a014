"""The backups in the storage: local files, or S3."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages

from valuecanvas.backups import encryption
from valuecanvas.backups.encryption import HashingFile
from valuecanvas.backups.errors import BackupError, DamagedBackup
from valuecanvas.backups.types import BackupSummary, Rehearsal, StoredFile

DUMP = "database.dump.age"
CONTENTS = "contents.json.age"
SUMMARY = "summary.json"
REHEARSAL = "rehearsal.json"
PIECE = 1 << 20
_PREFIX = "valuecanvas-backup-"
# Other folders of the storage are left alone.
_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
T = TypeVar("T", BackupSummary, Rehearsal)


def new_name() -> str:
    """A name that sorts by time and that no other process takes."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class LocalFile(File):
    """A file that a storage on the same disk takes over instead of copying it."""

    def temporary_file_path(self) -> str:
        return str(self.name)


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """One backup in the storage; `problem` says why it cannot be used, if so."""

    name: str
    summary: BackupSummary | None = None
    rehearsal: Rehearsal | None = None
    problem: str = ""
    unfinished: bool = False

    @property
    def started(self) -> datetime:
        """When it was begun, by its name."""
        return datetime.strptime(self.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    @property
    def passed(self) -> bool | None:
        """What its last rehearsal said; None if there was none."""
        return None if self.rehearsal is None else self.rehearsal.ok

    @property
    def verified(self) -> bool:
        return bool(self.passed) and not self.problem


class BackupRepository:
    """Reads and writes backups. Every method raises BackupError if the storage fails."""

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage = storage or storages["backups"]

    def entries(self) -> list[StoredBackup]:
        """All backups, the oldest first; names begin with the time."""
        with _storage_errors():
            try:
                folders, _ = self._storage.listdir("")
            except FileNotFoundError:
                return []
            ours = sorted(name for name in folders if _NAME.fullmatch(name))
            return [self._entry(name) for name in ours]

    def summary(self, name: str) -> BackupSummary:
        """Raises DamagedBackup."""
        if not _NAME.fullmatch(name):
            raise BackupError(f"{name} is no backup: list_backups shows their names.")
        return self._document(name, SUMMARY, BackupSummary.read)

    def put(self, name: str, part: str, file: Path) -> None:
        """Store the local `file`; it is gone after that."""
        with _storage_errors(), file.open("rb") as opened:
            os.fsync(opened.fileno())
            self._storage.save(f"{name}/{part}", LocalFile(opened, name=str(file)))

    def put_document(self, name: str, part: str, document: dict[str, object]) -> None:
        with _storage_errors():
            text = ContentFile(encryption.seal(document))
            self._storage.save(f"{name}/{part}", text)

    def fetch(self, summary: BackupSummary, part: str, target: Path) -> None:
        """Copy a part to `target` and compare size and SHA-256. Raises DamagedBackup."""
        with target.open("wb") as file:
            written = HashingFile(file)
            for piece in self.pieces(summary.name, part):
                written.write(piece)
        if StoredFile(written.size, written.sha256) != summary.files[part]:
            raise DamagedBackup(
                f"{part} was changed or cut short: its SHA-256 differs."
            )

    def pieces(self, name: str, part: str) -> Iterator[bytes]:
        """A part as it is stored, in pieces of 1 MiB."""
        with _storage_errors(), self._open(name, part) as source:
            while piece := source.read(PIECE):
                yield piece

    def delete(self, name: str) -> None:
        """Delete a backup: what makes it a verified one, and one at all, first."""
        with _storage_errors():
            for part in (REHEARSAL, SUMMARY, CONTENTS, DUMP):
                self._storage.delete(f"{name}/{part}")
            # A folder of the local disk; S3 has none.
            self._storage.delete(name)

    def exists(self, name: str, part: str = SUMMARY) -> bool:
        with _storage_errors():
            return self._storage.exists(f"{name}/{part}")

    def _entry(self, name: str) -> StoredBackup:
        if not self.exists(name):
            if self.exists(name, REHEARSAL):
                # It was finished once: no rest to delete.
                return StoredBackup(name, problem=f"{SUMMARY} is missing.")
            return StoredBackup(name, problem="It was not finished.", unfinished=True)
        try:
            summary = self.summary(name)
            rehearsal = self._rehearsal(name)
        except DamagedBackup as error:
            return StoredBackup(name, problem=str(error))
        problems = [self._problem(summary, part) for part in summary.files]
        return StoredBackup(name, summary, rehearsal, next(filter(None, problems), ""))

    def _problem(self, summary: BackupSummary, part: str) -> str:
        try:
            size = self._storage.size(f"{summary.name}/{part}")
        except FileNotFoundError:
            return f"{part} is missing."
        wanted = summary.files[part].size
        return "" if size == wanted else f"{part} has {size} bytes, not {wanted}."

    def _rehearsal(self, name: str) -> Rehearsal | None:
        if not self.exists(name, REHEARSAL):
            return None
        return self._document(name, REHEARSAL, Rehearsal.read)

    def _document(self, name: str, part: str, read: Callable[[dict[str, Any]], T]) -> T:
        raw = self._read(name, part)
        try:
            found = read(encryption.unseal(raw))
        except DamagedBackup as error:
            raise DamagedBackup(f"{part}: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedBackup(f"{part} is of another version: {error}.") from None
        if found.name != name:
            raise DamagedBackup(f"{part} is that of {found.name}.")
        return found

    def _read(self, name: str, part: str) -> bytes:
        with _storage_errors(), self._open(name, part) as file:
            return file.read()

    @contextmanager
    def _open(self, name: str, part: str) -> Iterator[IO[bytes]]:
        try:
            opened = self._storage.open(f"{name}/{part}")
        except FileNotFoundError:
            raise DamagedBackup(f"There is no {part} of {name}.") from None
        with opened as file:
            yield file


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, BotoCoreError, ClientError) as error:
        raise BackupError(f"The storage of backups failed: {error}") from error


@contextmanager
def work_folder() -> Iterator[Path]:
    """A private folder for plain data, gone after the block.

    Those of killed processes are deleted first. Raises BackupError for an OSError of the
    block: the disk is full, mostly.
    """
    base = Path(settings.BACKUP_WORK_DIR)
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in base.glob(f"{_PREFIX}*"):
            if not Path(f"/proc/{old.name.split('-')[2]}").exists():
                shutil.rmtree(old, ignore_errors=True)
        prefix = f"{_PREFIX}{os.getpid()}-"
        with TemporaryDirectory(prefix=prefix, dir=base) as folder:
            yield Path(folder)
    except OSError as error:
        raise BackupError(
            f"{error}. BACKUP_WORK_DIR ({base}) must be writable, with space for twice "
            "the size of a backup."
        ) from error
