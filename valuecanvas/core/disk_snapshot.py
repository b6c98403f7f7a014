"""The last configuration known, on disk, for a process that starts without a database.

One file: a line with the SHA-256 of the rest, then JSON. It is replaced whole, so a
reader sees one version or another; a file that was cut or changed is not believed.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog
from django.conf import settings

log = structlog.get_logger("core.disk_snapshot")

FORMAT = 1
GATEWAY = "gateway"


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
    told = {"format": FORMAT, "epoch": epoch, "saved_at": time.time(), "sections": sections}  # fmt: skip
    body = orjson.dumps(told)
    try:
        _replace(path(name), _digest(body) + b"\n" + body)
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


def _replace(target: Path, content: bytes) -> None:
    """Other processes may be writing as well: each its own file, the last one stays."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = target.with_name(f"{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        made = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        own.rename(target)
    finally:
        with suppress(OSError):
            own.unlink()
