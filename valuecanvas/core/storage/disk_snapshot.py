"""The last configuration known, on disk, for a process that starts without a database.

One file: a line with the SHA-256 of the rest, then JSON. It is replaced whole, so a
reader sees one version or another; a file that was cut or changed is not believed.
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
# Since a file was last written to by a process that has not finished it.
ABANDONED_S = 900.0


class Saved(NamedTuple):
    """What `save` wrote. `saved_at` is Unix time."""

    epoch: int
    saved_at: float
    sections: dict[str, Any]


def path(name: str = GATEWAY) -> Path:
    """Where the file is. Each writer with other sections has a name of its own."""
    return Path(settings.VAR_DIR) / "snapshot" / f"{name}.json"


def save(epoch: int, sections: Mapping[str, Any], *, name: str = GATEWAY) -> bool:
    """Write `sections` (JSON, without secrets); whether it worked, which is logged."""
    try:
        _replace(path(name), _pieces(epoch, sections))
    except OSError as error:
        log.warning("disk_snapshot.not_saved", error=error.strerror)
        return False
    return True


def load(*, name: str = GATEWAY) -> Saved | None:
    """The last one saved; None, with a log line, if there is none to be believed."""
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
    told = orjson.loads(body)
    if told.get("format") != FORMAT:
        log.warning("disk_snapshot.of_another_version", name=name)
        return None
    return Saved(told["epoch"], told["saved_at"], told["sections"])


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _pieces(epoch: int, sections: Mapping[str, Any]) -> Iterator[bytes]:
    """The JSON, a row at a time: to write tens of megabytes in one call, or to copy
    them, would stop all other threads.
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
    """Other processes may be writing as well: each its own file, the last one stays."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(target)
    own = target.with_name(f"{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        made = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "wb", buffering=BUFFER) as file:
            _write(file, pieces)
            file.flush()
            os.fsync(file.fileno())
        own.rename(target)
    finally:
        with suppress(OSError):
            own.unlink()


def _write(file: IO[bytes], pieces: Iterable[bytes]) -> None:
    digest = hashlib.sha256()
    # Its place, until it is known.
    file.write(digest.hexdigest().encode() + b"\n")
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
    file.seek(0)
    file.write(digest.hexdigest().encode())


def _sweep(target: Path) -> None:
    """Remove what processes left that were killed while they wrote `target`.

    Others may do so at once. One that is written for longer than anybody waits for a
    disk may go as well: that process then says that it has not saved.
    """
    pattern = re.compile(re.escape(target.name) + r"\.\d+\.\d+")
    for one in target.parent.iterdir():
        if pattern.fullmatch(one.name):
            with suppress(OSError):
                if time.time() - one.stat().st_mtime > ABANDONED_S:
                    one.unlink()
