"""Records what this process sent and passed on, in a file that survives kill -9.

Each process locks its file by flock: a process that can take the lock knows that the
owner is dead. A record is written *before* its content is passed on, by one write()
call, so that the kernel has it even if the process dies.
"""

import fcntl
import os
import secrets
import time
import uuid
from contextlib import suppress
from pathlib import Path

import structlog

from llm.journal.records import (
    SUBJECT,
    SUFFIX,
    WITHDRAWN,
    CallProgress,
    pack_call,
    pack_subject,
)
from valuecanvas.core.errors import Unavailable
from valuecanvas.core.storage.lru import Lru

log = structlog.get_logger("llm.journal")
# So many of the latest subjects are copied to a new file.
SUBJECTS_MAX = 4096
# A longer file is replaced by a new one with the open calls.
MOST_BYTES = 8 * 1024 * 1024
RETRY_S = 1.0


class JournalFull(Unavailable):
    """The record could not be written: nothing may be passed on unrecorded."""

    def __init__(self) -> None:
        super().__init__(
            "The gateway cannot write its journal now; try again shortly.",
            code="journal_unavailable",
            headers={"Retry-After": "1"},
        )


class Journal:
    """This process's journal. `name` is stored with its reservations."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._folder = folder
        self._open: dict[uuid.UUID, CallProgress] = {}
        # Subjects of minute limits and their records.
        self._subjects: Lru[str, bytes] = Lru(SUBJECTS_MAX)
        self._number = 0
        self._size = 0
        self._path, self._fd = self._create_file()
        self._broken_until: float | None = None

    def is_ready(self) -> bool:
        """Whether requests may be admitted; after a failure, retry each second."""
        if self._broken_until is None:
            return True
        if time.monotonic() < self._broken_until:
            return False
        if not self._renew():
            return False
        self._broken_until = None
        log.info("journal.back")
        return True

    def record(
        self,
        request_id: uuid.UUID,
        route: int,
        tokens: int,
        *,
        complete: bool = False,
    ) -> None:
        """Note that `tokens` are about to be passed on; 0: about to be sent upstream.

        Raises JournalFull.
        """
        most = SUBJECT - 1
        progress = CallProgress(min(route, most), min(tokens, 2**32 - 1), complete)
        self._open[request_id] = progress
        self._append(pack_call(request_id, progress))

    def record_subject(self, subject: str) -> None:
        """Record a subject before its slots are taken, so that others can free them.

        Only its first request writes a record.
        """
        if self._subjects.get(subject) is not None:
            return
        record = pack_subject(subject)
        self._subjects.put(subject, record)
        # After a full disk, the new file has it.
        with suppress(JournalFull):
            self._append(record)

    def withdraw(self, request_id: uuid.UUID) -> None:
        """Record that the attempt failed: there is nothing to bill until the next one."""
        if request_id not in self._open:
            return
        nothing = self._open[request_id] = CallProgress(WITHDRAWN, 0)
        # After a full disk, the new file has the open calls.
        with suppress(JournalFull):
            self._append(pack_call(request_id, nothing))

    def _append(self, record: bytes) -> None:
        if self._broken_until is not None:
            # The file may end in half a record: only a new one can be trusted.
            if not self.is_ready():
                raise JournalFull
            return
        self._write(self._fd, record)
        self._size += len(record)
        if self._size > MOST_BYTES:
            self._renew()

    def forget(self, request_id: uuid.UUID) -> None:
        """Forget a request that is settled."""
        self._open.pop(request_id, None)

    def close(self) -> None:
        """Close the file, and remove it if every call is settled."""
        os.close(self._fd)
        if not self._open:
            self._path.unlink(missing_ok=True)

    def _create_file(self) -> tuple[Path, int]:
        path = self._folder / f"{self.name}.{self._number}{SUFFIX}"
        # It is renamed once it is locked: nobody may find it unlocked.
        temporary = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        fd = os.open(temporary, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.rename(path)
        except OSError:
            os.close(fd)
            raise
        return path, fd

    def _renew(self) -> bool:
        """Start a new file; False if that failed, and the old one stays."""
        try:
            self._rotate()
        except (JournalFull, OSError):
            self._mark_broken()
            return False
        return True

    def _rotate(self) -> None:
        """Write the open calls to a new file, then remove the old one."""
        self._number += 1
        path, fd = self._create_file()
        rest = b"".join(pack_call(key, value) for key, value in self._open.items())
        rest += b"".join(self._subjects.values())
        try:
            self._write(fd, rest)
        except JournalFull:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        old_path, old_fd = self._path, self._fd
        self._path, self._fd, self._size = path, fd, 0
        os.close(old_fd)
        old_path.unlink(missing_ok=True)

    def _mark_broken(self) -> None:
        if self._broken_until is None:
            log.error("journal.broken")
        self._broken_until = time.monotonic() + RETRY_S

    def _write(self, fd: int, data: bytes) -> None:
        try:
            written = os.write(fd, data) if data else 0
        except OSError as error:
            self._mark_broken()
            raise JournalFull from error
        if written != len(data):
            # Half a record would shift all that follow: start a new file.
            self._mark_broken()
            raise JournalFull
