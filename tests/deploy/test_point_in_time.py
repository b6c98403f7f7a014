"""Point-in-time recovery by pgBackRest, with the settings of deploy/pgbackrest/.

It needs pgBackRest and a PostgreSQL that it supports, as Debian's packages have them.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from valuecanvas.embedded.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "deploy" / "pgbackrest"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
# How far the last row may be from the target.
NEAR = timedelta(seconds=1)
ROWS = 40
PATIENCE_S = 120.0

pytestmark = pytest.mark.skipif(
    not PROGRAMS or shutil.which("pgbackrest") is None,
    reason="needs pgBackRest and PostgreSQL from Debian's packages",
)


@dataclass
class Cluster:
    """A throw-away cluster that archives to a local repository."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *arguments: str) -> str:
        """Run a program as the cluster's account; what it prints."""
        path = (
            program if program == "pgbackrest" else str(PROGRAMS[-1].parent / program)
        )
        done = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={
                **os.environ,
                "PGBACKREST_CONFIG": str(self.folder / "pgbackrest.conf"),
            },
            user="nobody" if os.getuid() == 0 else None,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pgbackrest(self, command: str, *options: str) -> str:
        return self.run("pgbackrest", "--stanza=valuecanvas", *options, command)

    def start(self) -> None:
        log = str(self.folder / "postgres.log")
        self.run("pg_ctl", "-D", str(self.data), "-l", log, "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="nobody", dbname="postgres",
            autocommit=True,
        )  # fmt: skip


def configure(cluster: Cluster) -> None:
    """The files of deploy/pgbackrest/, with a local repository instead of S3."""
    text = (CONFIGURATION / "pgbackrest.conf").read_text()
    text = re.sub(r"^repo1-(type|path|s3-\w+)=.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^pg1-path=.*$", f"pg1-path={cluster.data}\npg1-port={cluster.port}"
                  f"\npg1-socket-path={cluster.folder}\npg1-user=nobody", text, flags=re.MULTILINE)  # fmt: skip
    folder = cluster.folder
    text = re.sub(r"^spool-path=.*$", f"spool-path={folder}/spool\nlog-path={folder}"
                  f"\nlock-path={folder}/lock\nrepo1-path={folder}/repository"
                  "\nrepo1-cipher-pass=of-a-throw-away-test", text, flags=re.MULTILINE)  # fmt: skip
    (folder / "pgbackrest.conf").write_text(text)
    ours = (CONFIGURATION / "postgresql.conf").read_text()
    with (cluster.data / "postgresql.conf").open("a") as file:
        file.write(
            f"{ours}\nport = {cluster.port}\nlisten_addresses = '127.0.0.1'\n"
            f"unix_socket_directories = '{folder}'\n"
        )


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    # Not below a folder that another account may not enter.
    folder = Path(tempfile.mkdtemp(prefix="valuecanvas-pitr-"))
    if os.getuid() == 0:
        shutil.chown(folder, "nobody")
    found = Cluster(folder, free_port(None))
    try:
        found.run("initdb", "-D", str(found.data), "-U", "nobody", "-A", "trust")
        configure(found)
        found.start()
        yield found
        found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_archived(connection: psycopg.Connection) -> None:
    """Until what was written is in the repository: `archive_timeout` at the latest."""
    name = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
    query = "SELECT last_archived_wal >= %s FROM pg_stat_archiver"
    deadline = time.monotonic() + PATIENCE_S
    while connection.execute(query, name).fetchone() != (True,):
        assert time.monotonic() < deadline, "The WAL is not archived."
        time.sleep(0.1)


def wait_until_recovered(connection: psycopg.Connection) -> None:
    """It answers before all WAL is replayed."""
    deadline = time.monotonic() + PATIENCE_S
    while connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        assert time.monotonic() < deadline, "It is still being recovered."
        time.sleep(0.1)


def test_recovery__to_a_time_before_a_mistake__lands_within_a_second(
    cluster: Cluster,
) -> None:
    cluster.pgbackrest("stanza-create")
    cluster.pgbackrest("check")
    with cluster.connect() as connection:
        connection.execute("CREATE TABLE bill (id int, at timestamptz DEFAULT now())")
        cluster.pgbackrest("backup", "--type=full")
        for number in range(ROWS):
            connection.execute("INSERT INTO bill (id) VALUES (%s)", [number])
            if number == ROWS // 2:
                row = connection.execute("SELECT clock_timestamp()").fetchone()
            time.sleep(0.05)
        connection.execute("DROP TABLE bill")
        wait_until_archived(connection)
    assert row is not None
    target: datetime = row[0]
    cluster.stop()
    cluster.pgbackrest(
        "restore", "--type=time", f"--target={target}", "--target-action=promote"
    )
    cluster.start()
    with cluster.connect() as connection:
        wait_until_recovered(connection)
        last = connection.execute("SELECT max(at), max(id) FROM bill").fetchone()
    assert last is not None
    assert timedelta(0) <= target - last[0] <= NEAR
    assert last[1] == ROWS // 2
