"""Secrets of the embedded mode, generated once and saved in the data folder."""

import base64
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pyrage import x25519

from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.state_files import (
    exclusive_lock,
    private_folder,
    read_json,
    write_json,
)

LOCK = "secrets.lock"
NAMES = ("SECRET_KEY", "KEY_PEPPER", "FIELD_KEY")


def load(var: Path) -> dict[str, str]:
    """The secrets by the names of their settings; generated on the first call.

    A lock keeps two processes from generating different sets. Raises EngineError if the
    file exists but lacks a secret: with a new one, issued keys and encrypted fields would
    be lost silently.
    """
    path = private_folder(var) / "secrets.json"
    with exclusive_lock(var / LOCK):
        if not path.exists():
            write_json(path, _fresh())
    found = read_json(path)
    if missing := [name for name in NAMES if not found.get(name)]:
        raise EngineError(
            f"{path} lacks {', '.join(missing)}. Bring the file back from a copy, or "
            "move the data folder away to begin anew."
        )
    return {name: str(found[name]) for name in NAMES}


def replace(var: Path, secrets: Mapping[str, str]) -> None:
    """Take over the secrets of another installation; a copy of the old ones stays."""
    path = private_folder(var) / "secrets.json"
    with exclusive_lock(var / LOCK):
        if path.exists():
            # Linked, not renamed: without the file new secrets would be generated.
            path.with_suffix(f".{time.time_ns()}.json").hardlink_to(path)
        write_json(path, {name: secrets[name] for name in NAMES})


def load_backup_key(var: Path) -> str:
    """The key of the backups, in a file of its own: a copy of it belongs elsewhere."""
    path = private_folder(var) / "backup-key.json"
    with exclusive_lock(var / LOCK):
        if not path.exists():
            write_json(path, {"BACKUP_KEY": str(x25519.Identity.generate())})
    return str(read_json(path).get("BACKUP_KEY", ""))


def _fresh() -> dict[str, str]:
    return {
        "SECRET_KEY": base64.urlsafe_b64encode(os.urandom(48)).decode(),
        "KEY_PEPPER": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "FIELD_KEY": base64.b64encode(os.urandom(32)).decode(),
    }
