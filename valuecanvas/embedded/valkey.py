"""The embedded Valkey: one append-only store in one folder, listening on loopback."""

import os
import secrets
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import redis

from valuecanvas.embedded import binaries, processes
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.processes import Engine
from valuecanvas.embedded.state_files import own_folder, read_json, write_json

NAME = "Valkey"
PROGRAMS = ("valkey-server", "redis-server")
ATTEMPTS = 5
START_SECONDS = 60.0
ANSWER_SECONDS = 15.0


def start(folder: Path, *, durable: bool = True, attached: bool = False) -> Engine:
    """Start the server of `folder`.

    `durable=False` keeps nothing on disk. `attached` ties the server's life to the
    calling thread's. Raises EngineError with the remedy when it can't be had.
    """
    own_folder(folder)
    state = folder / "engine.json"
    known = read_json(state)
    password = known.get("password") or secrets.token_urlsafe(24)
    port = known.get("port")
    program = binaries.valkey()
    for _ in range(ATTEMPTS):
        port = processes.free_port(port)
        write_json(state, {"password": password, "port": port})
        config = _config(port, password=password, durable=durable)
        url = _url(password, port)
        engine, log_tail = _attempt(program, folder, config, url, attached=attached)
        if engine:
            write_json(state, {"password": password, "port": port, "pid": engine.pid})
            return engine
        if "Address already in use" not in log_tail:
            break
    raise EngineError(f"Valkey did not start:\n{log_tail}")


def find(folder: Path) -> Engine | None:
    """The server of `folder` that an earlier run left running, if it answers.

    Raises EngineError when one runs there that doesn't.
    """
    known = read_json(folder / "engine.json")
    if "port" not in known:
        return None
    url = _url(known["password"], known["port"])
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        pid = _pid(url)
        if pid is not None:
            return Engine(NAME, url, pid, known["port"])
        if not _is_server(known.get("pid", 0), folder):
            return None
        if time.monotonic() > deadline:
            raise EngineError(
                f"A Valkey (process {known['pid']}) holds the data in {folder}, but "
                f"doesn't answer. End it with `kill {known['pid']}` and try again."
            )
        time.sleep(0.1)  # it may be loading or shutting down


def stop(engine: Engine) -> None:
    """Stop the server; it writes its data to disk before it ends."""
    processes.stop(engine, signal.SIGTERM)


def _config(port: int, *, password: str, durable: bool) -> str:
    """The configuration, for standard input: others can see passwords in arguments."""
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f"appendonly {'yes' if durable else 'no'}",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "",
        ]
    )


def _attempt(
    program: str, folder: Path, config: str, url: str, *, attached: bool
) -> tuple[Engine | None, str]:
    path = folder / "valkey.log"
    log = processes.open_log(path)
    seen = path.stat().st_size
    process = subprocess.Popen(
        [program, "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        # Without the terminal's Ctrl-C: the store must outlive its clients.
        start_new_session=True,
        preexec_fn=processes.die_with_parent(signal.SIGTERM) if attached else None,
    )
    os.close(log)
    if process.stdin:
        with process.stdin as pipe:
            pipe.write(config.encode())
    if processes.wait_answer(process, lambda: _pid(url) is not None, START_SECONDS):
        port = urlsplit(url).port or 0
        return Engine(NAME, url, process.pid, port, process), ""
    return None, processes.tail(path, seen)


def _url(password: str, port: int) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def _pid(url: str) -> int | None:
    """The process that answers at the URL with our password, else None."""
    client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=3)
    try:
        client.ping()  # refused while it still loads
        return int(client.info("server")["process_id"])
    except redis.RedisError:
        return None
    finally:
        client.close()


def _is_server(pid: int, folder: Path) -> bool:
    if not pid or not processes.is_running(pid):
        return False
    if processes.program_of(pid) not in PROGRAMS:
        return False
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except OSError:
        return True  # not visible from here: trust the file
