"""What this process has sent upstream and passed on, in a file that outlives kill -9.

One file a process, held by flock: whoever can take the lock knows that the process is
dead. A record is written *before* the content it stands for is passed on, by one write()
call, so that the kernel has it whatever becomes of the process.
"""

import fcntl
import os
import re
import secrets
import struct
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from llm.journal import counted_subjects
from valuecanvas.core.errors import Unavailable
from valuecanvas.core.storage.lru import Lru

log = structlog.get_logger("llm.journal")
SUFFIX = ".journal"
# Reservation, number of the route in its facts, tokens passed on so far.
_RECORD = struct.Struct(">16sBI")
# In place of a route: nothing of the request is with a provider any more.
_WITHDRAWN = 255
# Added to the route of an answer that was complete.
_COMPLETE = 128
# In place of a route: the record names a subject of minute limits.
_SUBJECT = 127
# So many of those that were counted last are named again in a new file.
SUBJECTS_MAX = 4096
# A longer file is begun anew with what is still open.
MOST_BYTES = 8 * 1024 * 1024
RETRY_S = 1.0
_NAMED = re.compile(r"([^.]+)\.(\d+)" + re.escape(SUFFIX))


@dataclass(frozen=True, slots=True)
class CallProgress:
    """How far a request had come: `tokens` passed on from the route number `route`.

    `complete`: that was the whole answer, though it was not settled yet.
    """

    route: int
    tokens: int
    complete: bool = False


class JournalFull(Unavailable):
    """The record could not be written: nothing may be passed on unrecorded."""

    def __init__(self) -> None:
        super().__init__(
            "The gateway cannot keep its journal now; try again shortly.",
            code="journal_unavailable",
            headers={"Retry-After": "1"},
        )


class Journal:
    """This process's journal. `name` goes into the facts of its reservations."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._folder = folder
        self._open: dict[uuid.UUID, CallProgress] = {}
        # Subjects of minute limits and their records.
        self._subjects: Lru[str, bytes] = Lru(SUBJECTS_MAX)
        self._number = 0
        self._size = 0
        self._path, self._fd = self._begin()
        self._broken_until: float | None = None

    def ready(self) -> bool:
        """May requests be admitted? After a failure it is tried again each second."""
        if self._broken_until is None:
            return True
        if time.monotonic() < self._broken_until:
            return False
        if not self._renewed():
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
        most = _SUBJECT - 1
        progress = CallProgress(min(route, most), min(tokens, 2**32 - 1), complete)
        self._open[request_id] = progress
        self._append(_packed(request_id, progress))

    def count(self, subject: str) -> None:
        """Note that slots of this subject are about to be taken, for who frees them.

        Once for all its requests: it costs the others a look.
        """
        if self._subjects.get(subject) is not None:
            return
        named = counted_subjects.pack(subject)
        record = _RECORD.pack(named[0], _SUBJECT, named[1]) if named else b""
        self._subjects.put(subject, record)
        # A full disk: the file that is begun then has it.
        with suppress(JournalFull):
            self._append(record)

    def withdraw(self, request_id: uuid.UUID) -> None:
        """Note that the attempt failed: until the next one there is nothing to bill."""
        if request_id not in self._open:
            return
        nothing = self._open[request_id] = CallProgress(_WITHDRAWN, 0)
        # A full disk: the file that is begun then has what is open now.
        with suppress(JournalFull):
            self._append(_packed(request_id, nothing))

    def _append(self, record: bytes) -> None:
        if self._broken_until is not None:
            # The file may end in half a record: only a new one can be trusted.
            if not self.ready():
                raise JournalFull
            return
        self._write(self._fd, record)
        self._size += len(record)
        if self._size > MOST_BYTES:
            self._renewed()

    def forget(self, request_id: uuid.UUID) -> None:
        """The request is settled: nobody will ask any more."""
        self._open.pop(request_id, None)

    def close(self) -> None:
        """Remove the file; everything is settled, or its lease will end it."""
        os.close(self._fd)
        if not self._open:
            self._path.unlink(missing_ok=True)

    def _begin(self) -> tuple[Path, int]:
        path = self._folder / f"{self.name}.{self._number}{SUFFIX}"
        # It gets its name once it is locked: no heir may find it unlocked.
        nameless = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        fd = os.open(nameless, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            nameless.rename(path)
        except OSError:
            os.close(fd)
            raise
        return path, fd

    def _renewed(self) -> bool:
        """Could a new file be begun? If not, the old one stays as it is."""
        try:
            self._turn()
        except (JournalFull, OSError):
            self._broke()
            return False
        return True

    def _turn(self) -> None:
        """Begin a new file with what is open; the old one goes only after that."""
        self._number += 1
        path, fd = self._begin()
        rest = b"".join(_packed(key, value) for key, value in self._open.items())
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

    def _broke(self) -> None:
        if self._broken_until is None:
            log.error("journal.broken")
        self._broken_until = time.monotonic() + RETRY_S

    def _write(self, fd: int, data: bytes) -> None:
        try:
            written = os.write(fd, data) if data else 0
        except OSError as error:
            self._broke()
            raise JournalFull from error
        if written != len(data):
            # Half a record would shift all that follow: begin a new file.
            self._broke()
            raise JournalFull


def _packed(request_id: uuid.UUID, progress: CallProgress) -> bytes:
    route = progress.route + (_COMPLETE if progress.complete else 0)
    return _RECORD.pack(request_id.bytes, route, progress.tokens)


@dataclass(frozen=True, slots=True)
class DeadJournal:
    """What a dead process left: its name, how far each request had come, and of which
    subjects of minute limits it had taken slots.
    """

    name: str
    progress: dict[uuid.UUID, CallProgress]
    subjects: frozenset[str] = frozenset()


@contextmanager
def claim_dead_journals(folder: Path) -> Iterator[list[DeadJournal]]:
    """The estates of dead processes in `folder`, locked while they are being settled.

    Their files are removed at the end, unless the settling raised.
    """
    locked: list[tuple[Path, int]] = []
    estates: list[DeadJournal] = []
    try:
        for name, paths in _groups(folder).items():
            taken = _take_all(paths)
            locked += taken
            if taken:
                estates.append(DeadJournal(name, *_read_all([fd for _, fd in taken])))
        yield estates
        for path, _ in locked:
            path.unlink(missing_ok=True)
    finally:
        for _, fd in locked:
            os.close(fd)


def living_processes(folder: Path) -> set[str]:
    """The names of the journals in `folder` that a process holds."""
    return {
        name
        for name, paths in _groups(folder).items()
        if any(_is_held(path) for path in paths)
    }


def progress_of(folder: Path, name: str) -> dict[uuid.UUID, CallProgress] | None:
    """How far each request came by the journal `name`, whoever holds it.

    None where it is not here, or cannot be read.
    """
    fds: list[int] = []
    try:
        for path in _groups(folder).get(name, ()):
            with suppress(FileNotFoundError):
                fds.append(os.open(path, os.O_RDONLY))
        return _read_all(fds)[0] if fds else None
    except PermissionError:
        return None
    finally:
        for fd in fds:
            os.close(fd)


def _is_held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        # Its owner has just begun another, or it is another account's: none is proven
        # to be dead.
        return True
    try:
        # Shared: of two who look, neither takes the other for the owner.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _groups(folder: Path) -> dict[str, list[Path]]:
    """The files of each process, in the order in which they were begun."""
    found: list[tuple[int, str, Path]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        named = _NAMED.fullmatch(path.name)
        if named:
            found.append((int(named[2]), named[1], path))
    groups: dict[str, list[Path]] = {}
    for _, name, path in sorted(found):
        groups.setdefault(name, []).append(path)
    return groups


def _take_all(paths: list[Path]) -> list[tuple[Path, int]]:
    """Lock every file of a process, or none: it lives if one is held."""
    taken: list[tuple[Path, int]] = []
    for path in paths:
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            for _, other in [*taken, (path, fd)]:
                os.close(other)
            return []
        if os.fstat(fd).st_nlink:
            taken.append((path, fd))
        else:
            # Another heir was faster.
            os.close(fd)
    return taken


def _read_all(fds: list[int]) -> tuple[dict[uuid.UUID, CallProgress], frozenset[str]]:
    found: dict[uuid.UUID, CallProgress] = {}
    subjects: set[str] = set()
    for fd in fds:
        with open(fd, "rb", closefd=False) as file:
            data = file.read()
        whole = len(data) - len(data) % _RECORD.size
        for raw, route, tokens in _RECORD.iter_unpack(data[:whole]):
            if route == _SUBJECT:
                subjects.add(counted_subjects.unpack(raw, tokens))
                continue
            key = uuid.UUID(bytes=raw)
            # Records are in order, and files are read in order: the last one counts.
            if route == _WITHDRAWN:
                found.pop(key, None)
            else:
                complete = route >= _COMPLETE
                found[key] = CallProgress(route % _COMPLETE, tokens, complete)
    return found, frozenset(subjects)
