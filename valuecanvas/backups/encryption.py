"""Encrypts the files of backups in the age format (age-encryption.org/v1).

So `age -d` opens them too, with BACKUP_KEY as its identity file.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import IO, Any

import pyrage
from django.conf import settings
from pyrage import x25519

from valuecanvas.backups.errors import BackupError, DamagedBackup

MAKE_KEY = "Make one with: python manage.py backup --new-key"


class HashingFile:
    """Passes on what is written, and knows its size and SHA-256."""

    def __init__(
        self, file: IO[bytes], report: Callable[[int], None] = lambda size: None
    ) -> None:
        self._file = file
        self._report = report
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._report(self.size)
        return self._file.write(data)


def new_key() -> str:
    """A new key for BACKUP_KEY."""
    return str(x25519.Identity.generate())


def load_key() -> x25519.Identity:
    """The key of this installation. Raises BackupError."""
    if not settings.BACKUP_KEY:
        raise BackupError(f"Set BACKUP_KEY: backups are encrypted. {MAKE_KEY}")
    try:
        return x25519.Identity.from_str(settings.BACKUP_KEY)
    except pyrage.IdentityError:
        raise BackupError(
            f"BACKUP_KEY is not a key: it begins with AGE-SECRET-KEY-1. {MAKE_KEY}"
        ) from None


def recipient() -> str:
    """The public half of the key: names the key without revealing it."""
    return str(load_key().to_public())


def encrypt(source: IO[bytes], target: HashingFile) -> None:
    """Encrypt `source` into `target`, in pieces. Raises OSError."""
    try:
        pyrage.encrypt_io(source, target, [load_key().to_public()])
    except pyrage.EncryptError as error:
        # What `write` raised, as text.
        raise OSError(str(error).removeprefix("OSError: ")) from None


def decrypt(source: IO[bytes], target: IO[bytes]) -> None:
    """Decrypt `source` into `target`, in pieces. Raises DamagedBackup, OSError."""
    try:
        pyrage.decrypt_io(source, target, [load_key()])
    except (pyrage.DecryptError, OSError) as error:
        if getattr(error, "errno", None):
            raise
        raise DamagedBackup(
            f"It cannot be decrypted with BACKUP_KEY: {error}"
        ) from None


def seal(document: dict[str, Any]) -> bytes:
    """`document` as JSON with an HMAC under a key made from BACKUP_KEY."""
    return _text({**document, "seal": _hmac(document)}).encode()


def unseal(raw: bytes) -> dict[str, Any]:
    """The document that `seal` wrote. Raises DamagedBackup if it was changed."""
    try:
        document: dict[str, Any] = json.loads(raw)
        written = document.pop("seal")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise DamagedBackup("It is not a document of a backup.") from None
    made_for, ours = document.get("recipient"), recipient()
    if made_for and made_for != ours:
        raise DamagedBackup(
            f"It was made with another key: that of {made_for}; BACKUP_KEY is that of "
            f"{ours}."
        )
    if not hmac.compare_digest(str(written), _hmac(document)):
        raise DamagedBackup("It was changed after it was written.")
    return document


def fingerprint(secret: str) -> str:
    """Tells whether a secret is the same, without revealing it."""
    return hmac.new(_seal_key(), secret.encode(), "sha256").hexdigest()[:32]


def _hmac(document: dict[str, Any]) -> str:
    return hmac.new(_seal_key(), _text(document).encode(), "sha256").hexdigest()


def _seal_key() -> bytes:
    load_key()
    return hashlib.sha256(
        b"valuecanvas backups" + settings.BACKUP_KEY.encode()
    ).digest()


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True)
