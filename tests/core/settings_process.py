"""A process that reads its settings, for tests of what it takes and refuses."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from valuecanvas import env

KEY = base64.b64encode(hashlib.sha256(b"field").digest()).decode()
SAFE = {
    "VALUECANVAS_ENV": "production",
    "DATABASE_URL": "postgresql://u:p@db.example/vc",  # pragma: allowlist secret
    "REDIS_URL": "rediss://:r3dis@cache.example/0",
    "SECRET_KEY": hashlib.sha256(b"sign").hexdigest(),
    "KEY_PEPPER": hashlib.sha256(b"pepper").hexdigest(),
    "FIELD_KEY": KEY,
    "ALLOWED_HOSTS": "llm.example.com",
}
SHOW = (
    "import json, django.conf; s = django.conf.settings;"
    "print(json.dumps({n: getattr(s, n, None) for n in %r}, default=str))"
)


def start(
    tmp_path: Path, *names: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A process that reads its settings, and shows those of `names`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in env.DECLARED and name.removesuffix("_FILE") not in env.DECLARED
    }
    # Set but empty: a developer's .env file does not reach into the tests.
    blank = dict.fromkeys(env.DECLARED, "")
    return subprocess.run(
        [sys.executable, "-c", SHOW % (names,)],
        env={**kept, **blank, "VALUECANVAS_VAR": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def read_settings(tmp_path: Path, *names: str, **variables: str) -> dict[str, Any]:
    process = start(tmp_path, *names, **variables)
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found
