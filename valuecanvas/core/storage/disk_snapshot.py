"""Saves the configuration to disk so that a process can start without the database.

One file: a line with the SHA-256 of the rest, then JSON. It is replaced atomically. A
file that was cut or changed is not used.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson
import structlog
from django.conf import settings

log = structlog.get_logger("core.disk_snapshot")

FORMAT = 1
GATEWAY = "gateway"
BUFFER = 1 << 18
# An unfinished file that was not written to for so long is deleted.
ABANDONED_S = 900.0


class Saved(NamedTuple):
    """A saved configuration. `saved_at` is Unix time."""

    epoch: int
    saved_at: float
    sections: dict[str, Any]


def path(name: str = GATEWAY) -> Path:
    """The path of the file. Writers with other sections use other names."""
    return Path(settings.VAR_DIR) / "snapshot" / f"{name}.json"


def save(epoch: int, sections: Mapping[str, Any], *, name: str = GATEWAY) -> bool:
    """Write `sections` (JSON, without secrets). Returns False, with a log line, if it failed."""
    try:
        _replace(path(name), _pieces(epoch, sections))
    except OSError as error:
        log.warning("disk_snapshot.not_saved", error=error.strerror)
        return False
    return True


def load(*, name: str = GATEWAY) -> Saved | None:
    """The last saved one; None, with a log line, if there is none that is valid."""
    try:
        digest, _, body = path(name).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("disk_snapshot.not_read", error=error.strerror)
        return None
    if digest != _digest(body):
        log.warning("disk_snapshot.damaged", name=name)
        return None
    content = orjson.loads(body)
    if content.get("format") != FORMAT:
        log.warning("disk_snapshot.of_another_version", name=name)
        return None
    return Saved(content["epoch"], content["saved_at"], content["sections"])


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _pieces(epoch: int, sections: Mapping[str, Any]) -> Iterator[bytes]:
    """The JSON, one row at a time: writing or copying tens of megabytes in one call
    would block all other threads.
    """
    head = orjson.dumps({"format": FORMAT, "epoch": epoch, "saved_at": time.time()})
    yield head[:-1] + b',"sections":{'
    for number, (name, rows) in enumerate(sections.items()):
        yield b",%s:" % _text(name) if number else b"%s:" % _text(name)
        yield from _rows(rows)
    yield b"}}"


def _rows(rows: Any) -> Iterator[bytes]:
    if not isinstance(rows, Mapping):
        yield orjson.dumps(rows)
        return
    yield b"{"
    for number, (key, row) in enumerate(rows.items()):
        yield b",%s:" % _text(key) if number else b"%s:" % _text(key)
        yield orjson.dumps(row)
    yield b"}"


def _text(name: str) -> bytes:
    return orjson.dumps(name)


def _replace(target: Path, pieces: Iterable[bytes]) -> None:
    """Write a new file and rename it: other processes may do so at the same time."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(target)
    own = target.with_name(f"{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb", buffering=BUFFER) as file:
            _write(file, pieces)
            file.flush()
            os.fsync(file.fileno())
        own.rename(target)
    finally:
        with suppress(OSError):
            own.unlink()


def _write(file: IO[bytes], pieces: Iterable[bytes]) -> None:
    digest = hashlib.sha256()
    # A placeholder until the digest is known.
    file.write(digest.hexdigest().encode() + b"\n")
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
    file.seek(0)
    file.write(digest.hexdigest().encode())


def _sweep(target: Path) -> None:
    """Delete unfinished files of processes that were killed while they wrote `target`.

    Other processes may do so at the same time. A file that is still being written after
    that time may be deleted too: its process then logs that it did not save.
    """
    pattern = re.compile(re.escape(target.name) + r"\.\d+\.\d+")
    for one in target.parent.iterdir():
        if pattern.fullmatch(one.name):
            with suppress(OSError):
                if time.time() - one.stat().st_mtime > ABANDONED_S:
                    one.unlink()
