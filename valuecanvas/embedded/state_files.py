"""Private folders and small state files, readable by their owner only."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from valuecanvas.embedded.errors import EngineError


def private_folder(folder: Path) -> Path:
    """Create the folder with mode 0700 if it is missing.

    Raises EngineError when it cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.listdir(folder)
    except OSError as error:
        raise _unusable(folder, error.strerror or "") from error
    return folder


def own_folder(folder: Path) -> Path:
    """A private folder that belongs to our account.

    Raises EngineError if it belongs to another account, also for root: the owner could
    not read root's new files.
    """
    if private_folder(folder).stat().st_uid != os.geteuid():
        raise _unusable(folder, "it belongs to another account")
    return folder


def _unusable(folder: Path, reason: str) -> EngineError:
    return EngineError(
        f"The data folder {folder} cannot be used: {reason}. Run this as the account "
        "that made it, or set VALUECANVAS_VAR to another folder."
    )


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the kernel releases the lock of a killed process."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file; empty if the file is missing or has none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace the file atomically, with mode 0600."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
