"""The embedded PostgreSQL: one cluster in one folder, on loopback, with a password.

The folder holds `engine.json` (password, port, copied programs) and `cluster/`, which
belongs to the account of the server and holds `data/`.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from valuecanvas.embedded import account, binaries, processes
from valuecanvas.embedded.account import Account
from valuecanvas.embedded.binaries import Binaries
from valuecanvas.embedded.cluster import (
    ROLE,
    ClusterPlace,
    check_version,
    initialise,
    open_cluster,
)
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.processes import Engine
from valuecanvas.embedded.state_files import own_folder, read_json, write_json

NAME = "PostgreSQL"
DATABASE = "valuecanvas"
# After kill -9 of the first server process the others need a moment to end.
BUSY = ("pre-existing shared memory block", "Address already in use", "could not bind")
ATTEMPTS = 40
START_SECONDS = 120.0
ANSWER_SECONDS = 15.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10min",
    "max_wal_size": "2GB",
}


def start(folder: Path, *, durable: bool = True, attached: bool = False) -> Engine:
    """Start the server of `folder`; the first run creates the cluster.

    `durable=False` is for throw-away data. `attached` ties the server's life to the
    calling thread's. Raises EngineError with the remedy when it can't be had.
    """
    place = _place(own_folder(folder))
    _delete_stale_pid_file(place)
    if not place.data.exists():
        initialise(place)
    check_version(place)
    engine = _launch(place, durable=durable, attached=attached)
    _create_database(engine.url)
    return engine


def find(folder: Path) -> Engine | None:
    """The server of `folder` that an earlier run left running, if it answers.

    Raises EngineError when one runs there that doesn't.
    """
    data = folder / "cluster" / "data"
    deadline = time.monotonic() + ANSWER_SECONDS
    while (running := _postmaster(data)) is not None:
        pid, port = running
        url = _url(read_json(folder / "engine.json").get("password", ""), port)
        if port and _answers(url):
            return Engine(NAME, url, pid, port)
        if time.monotonic() > deadline:
            raise EngineError(
                f"A PostgreSQL (process {pid}) holds the data in {folder}, but doesn't "
                f"answer. End it with `kill -INT {pid}` and try again."
            )
        time.sleep(0.1)  # it may be starting or shutting down
    return None


def stop(engine: Engine, folder: Path) -> None:
    """Stop the server cleanly, without waiting for its clients."""
    processes.stop(engine, signal.SIGINT)
    _drop_copy(folder / "engine.json")


def _place(folder: Path) -> ClusterPlace:
    cluster = folder / "cluster"
    who = account.choose(cluster)
    if not cluster.exists():
        cluster.mkdir(mode=0o700)
        account.set_owner(cluster, who)
    return ClusterPlace(folder, who, _programs(folder / "engine.json", who))


def _programs(state: Path, who: Account) -> Binaries:
    """The programs; a copy if the account cannot start the originals."""
    original = binaries.postgres()
    if account.runnable(original, who):
        return original
    earlier = read_json(state).get("copy")
    if earlier and account.runnable(account.copied_binaries(Path(earlier)), who):
        return account.copied_binaries(Path(earlier))
    copy = account.copy_binaries(original, who)
    write_json(state, {**read_json(state), "copy": str(copy)})
    return account.copied_binaries(copy)


def _drop_copy(state: Path) -> None:
    known = read_json(state)
    copy = known.pop("copy", None)
    if copy:
        shutil.rmtree(copy, ignore_errors=True)
        write_json(state, known)


def _launch(place: ClusterPlace, *, durable: bool, attached: bool) -> Engine:
    known = read_json(place.state)
    if "password" not in known:
        raise EngineError(
            f"{place.state} with the database's password is gone. Bring it back, or "
            f"move {place.folder} away to begin with an empty database."
        )
    port = known.get("port")
    for _ in range(ATTEMPTS):
        port = processes.free_port(port)
        engine, log_tail = _attempt(
            place, port, password=known["password"], durable=durable, attached=attached
        )
        if engine:
            write_json(place.state, {**read_json(place.state), "port": port})
            return engine
        if not any(sign in log_tail for sign in BUSY):
            break
        time.sleep(0.25)
    raise EngineError(f"PostgreSQL did not start:\n{log_tail}")


def _attempt(
    place: ClusterPlace, port: int, *, password: str, durable: bool, attached: bool
) -> tuple[Engine | None, str]:
    options = {**SETTINGS, **({} if durable else THROW_AWAY), "port": str(port)}
    log = processes.open_log(place.log)
    seen = place.log.stat().st_size
    with open_cluster(place) as (name, spawn):
        process = subprocess.Popen(  # type: ignore[call-overload]
            [
                *(place.binaries.tool("postgres"), "-D", f"{name}/data"),
                *(part for key in options for part in ("-c", f"{key}={options[key]}")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Without the terminal's Ctrl-C: the database must outlive its clients.
            start_new_session=True,
            preexec_fn=processes.die_with_parent(signal.SIGINT) if attached else None,
            **spawn,
        )
    os.close(log)
    url = _url(password, port)
    if processes.wait_answer(process, lambda: _answers(url), START_SECONDS):
        return Engine(NAME, url, process.pid, port, process), ""
    return None, processes.tail(place.log, seen)


def _url(password: str, port: int, database: str = DATABASE) -> str:
    return f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{database}"


def _maintenance(url: str) -> str:
    return url.rpartition("/")[0] + "/postgres"


def _answers(url: str) -> bool:
    try:
        psycopg.connect(_maintenance(url), connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_database(url: str) -> None:
    with psycopg.connect(_maintenance(url), autocommit=True) as connection:
        known = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
        ).fetchone()
        if known is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
            )


def _postmaster(data: Path) -> tuple[int, int] | None:
    """Process id and port of the running server of `data`; None if there is none."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if not _is_server_of(pid, data):
        return None
    return pid, int(lines[3]) if len(lines) > 3 and lines[3].isdigit() else 0


def _is_server_of(pid: int, data: Path) -> bool:
    """Whether the process serves `data`, and is no other one with a reused id."""
    if not processes.is_running(pid) or processes.program_of(pid) != "postgres":
        return False
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", data)
    except OSError:
        return True  # not visible from here: trust the file


def _delete_stale_pid_file(place: ClusterPlace) -> None:
    """Delete a stale pid file: PostgreSQL would take another process for the server."""
    if _postmaster(place.data) is None:
        (place.data / "postmaster.pid").unlink(missing_ok=True)
