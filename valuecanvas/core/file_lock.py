"""Tells by its lock whether the process that owns a file still lives."""

import fcntl
import os
from pathlib import Path


def is_held(path: Path) -> bool:
    """Whether a process has locked the file; it is free once that process has ended."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        # Its owner has just replaced it, or it belongs to another account: it may live.
        return True
    try:
        # Shared: two processes that check at once do not block each other.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
