"""PgBouncer before the tests' PostgreSQL, where it is installed."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from valuecanvas.backups.postgresql import client_programs
from valuecanvas.embedded.processes import free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
PATIENCE_S = 30.0
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="needs pgbouncer")

# As its packages configure it, but for the mode.
SETTINGS = """
[databases]
* = host={host} port={port} user={user} password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 40
"""


@contextmanager
def pgbouncer(folder: Path, mode: str, more: str = "") -> Iterator[str]:
    """The URL of the tests' database through PgBouncer in this pool mode."""
    server, own = client_programs.server(), free_port()
    path = folder / "pgbouncer.ini"
    path.write_text(SETTINGS.format(own=own, mode=mode, **server) + more)
    # It refuses to run as root; whoever it runs as instead reads the file.
    path.chmod(0o644)
    account = ["--user=nobody"] if os.geteuid() == 0 else []
    url = f"postgresql://{quote(server['user'])}@127.0.0.1:{own}/{server['dbname']}"
    with (
        (folder / "pgbouncer.log").open("wb") as log,
        subprocess.Popen(
            [str(PROGRAM), *account, str(path)], stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _wait(url)
            yield url
        finally:
            process.kill()


def _wait(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(url):
            return
        time.sleep(0.05)
    raise RuntimeError("PgBouncer did not start.")
