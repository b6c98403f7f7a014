"""Secrets of the embedded default, generated once and kept in the data folder."""

import base64
import json
import os
from pathlib import Path


def load(var: Path) -> dict[str, str]:
    path = var / "secrets.json"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True)
        fresh = {
            "SECRET_KEY": base64.urlsafe_b64encode(os.urandom(48)).decode(),
            "KEY_PEPPER": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "FIELD_KEY": base64.b64encode(os.urandom(32)).decode(),
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(fresh))
    secrets: dict[str, str] = json.loads(path.read_text())
    return secrets
