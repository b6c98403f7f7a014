"""Finds, locks and reads the journals of dead processes."""

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llm.journal.records import (
    COMPLETE,
    RECORD,
    SUBJECT,
    SUFFIX,
    WITHDRAWN,
    CallProgress,
    unpack_subject,
)
from valuecanvas.core.file_lock import is_held

_NAMED = re.compile(r"([^.]+)\.(\d+)" + re.escape(SUFFIX))


@dataclass(frozen=True, slots=True)
class DeadJournal:
    """The journal of a dead process: its name, how far each call had come, and the
    subjects of minute limits whose slots it had taken.
    """

    name: str
    progress: dict[uuid.UUID, CallProgress]
    subjects: frozenset[str] = frozenset()


@contextmanager
def claim_dead_journals(folder: Path) -> Iterator[list[DeadJournal]]:
    """The journals of dead processes in `folder`, locked while they are settled.

    Their files are removed at the end, unless an error was raised.
    """
    locked: list[tuple[Path, int]] = []
    journals: list[DeadJournal] = []
    try:
        for name, paths in _groups(folder).items():
            taken = _take_all(paths)
            locked += taken
            if taken:
                journals.append(DeadJournal(name, *_read_all([fd for _, fd in taken])))
        yield journals
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
        if any(is_held(path) for path in paths)
    }


def progress_of(folder: Path, name: str) -> dict[uuid.UUID, CallProgress] | None:
    """How far each call of the journal `name` has come, dead or alive.

    None if it is not in `folder` or cannot be read.
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


def _groups(folder: Path) -> dict[str, list[Path]]:
    """The files of each process, in the order of their creation."""
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
    """Lock every file of a process, or none: it lives if one is locked."""
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
            # Another process was faster.
            os.close(fd)
    return taken


def _read_all(fds: list[int]) -> tuple[dict[uuid.UUID, CallProgress], frozenset[str]]:
    found: dict[uuid.UUID, CallProgress] = {}
    subjects: set[str] = set()
    for fd in fds:
        with open(fd, "rb", closefd=False) as file:
            data = file.read()
        whole = len(data) - len(data) % RECORD.size
        for raw, route, tokens in RECORD.iter_unpack(data[:whole]):
            if route == SUBJECT:
                subjects.add(unpack_subject(raw, tokens))
                continue
            key = uuid.UUID(bytes=raw)
            # Records are in order, and files are read in order: the last one counts.
            if route == WITHDRAWN:
                found.pop(key, None)
            else:
                complete = route >= COMPLETE
                found[key] = CallProgress(route % COMPLETE, tokens, complete)
    return found, frozenset(subjects)
