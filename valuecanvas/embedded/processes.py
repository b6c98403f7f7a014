"""Starts, watches and stops the process of an engine."""

import ctypes
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from valuecanvas.embedded.errors import EngineError

PR_SET_PDEATHSIG = 1
LOG_LIMIT = 5_000_000
POLL = 0.02
# Below the ports of outgoing connections, which could take one between the check and the
# start of its server.
PORTS = range(10_000, 32_000)
PORT_DRAWS = 1000


@dataclass(frozen=True)
class Engine:
    """A running engine. `process` is None if an earlier run started it."""

    name: str
    url: str = field(repr=False)  # holds the password
    pid: int
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)


def free_port(preferred: int | None = None) -> int:
    """A free TCP port on 127.0.0.1: `preferred` if it is free.

    Raises EngineError if none is found.
    """
    # Not `random`: programs with the same seed would choose the same port.
    drawn = (secrets.choice(PORTS) for _ in range(PORT_DRAWS))
    for port in itertools.chain([preferred] if preferred else [], drawn):
        if not port_is_taken("127.0.0.1", port):
            return port
    raise EngineError(f"No free port was found from {PORTS[0]} to {PORTS[-1]}.")


def port_is_taken(host: str, port: int) -> bool:
    """Whether `host`:`port` cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `number` to the child when its parent dies.

    Linux only; elsewhere it does nothing. The parent should have one thread: the kernel
    watches the thread that forked, and forking with threads is unsafe anyway.
    """

    def set_signal() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))

    return set_signal


def is_running(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    with suppress(ChildProcessError):  # not our child: checked below
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return not stat.parent.parent.joinpath("self").exists()


def program_of(pid: int) -> str:
    """The name of the process's program; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        listed = subprocess.run(
            ["ps", "-o", "comm=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return Path(listed.stdout.strip()).name


def wait_gone(pid: int, seconds: float) -> bool:
    """Wait until the process has ended; False if it has not after `seconds`."""
    deadline = time.monotonic() + seconds
    while is_running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def stop(engine: Engine, number: signal.Signals, seconds: float = 60) -> None:
    """Stop the engine by the signal `number`, or by SIGKILL after `seconds`."""
    if engine.process is not None:
        _end(engine.process, number, seconds)
        return
    with suppress(ProcessLookupError):
        os.kill(engine.pid, number)
    if not wait_gone(engine.pid, seconds):
        os.kill(engine.pid, signal.SIGKILL)
        wait_gone(engine.pid, seconds)


def _end(process: "subprocess.Popen[bytes]", number: int, seconds: float) -> None:
    process.send_signal(number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def open_log(path: Path) -> int:
    """A descriptor that appends to the log; a large log is rotated first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def tail(path: Path, since: int) -> str:
    """The log after its first `since` bytes, at most the last 2,000 bytes."""
    with path.open("rb") as log:
        log.seek(since)
        return log.read()[-2000:].decode(errors="replace").strip()


def wait_answer(
    process: "subprocess.Popen[bytes]", answers: Callable[[], bool], seconds: float
) -> bool:
    """Wait until the new process answers; False if it ends before.

    Raises EngineError when it does neither within `seconds`.
    """
    deadline = time.monotonic() + seconds
    try:
        while not answers():
            if process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise EngineError(
                    f"It was started but gave no answer in {seconds:.0f} s."
                )
            time.sleep(POLL)
    except BaseException:
        # Also on Ctrl-C: no unknown process may be left running.
        _end(process, signal.SIGINT, 10)
        raise
    return True
