"""Starts and stops the benchmark's servers on chosen cores."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import measure
from valuecanvas import serve
from valuecanvas.embedded.processes import free_port

ROOT = Path(__file__).resolve().parent.parent
# Logs and figures of the last run.
LOG_DIR = ROOT / "build" / "bench"
READY_S = 180.0


@dataclass(frozen=True)
class Cores:
    """One core for the measured server, one for everything else."""

    server: frozenset[int]
    around: frozenset[int]

    @property
    def description(self) -> str:
        if self.server == self.around:
            return f"no core of its own for anything (cores {sorted(self.server)})"
        return (
            f"the server alone on core {min(self.server)}; load generator, fake "
            f"upstream, PostgreSQL and Valkey together on core {min(self.around)}"
        )


def usable_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def cores() -> Cores:
    """The first two cores of this process, or the only one twice."""
    usable = usable_cores()
    return Cores(frozenset(usable[:1]), frozenset(usable[1:2] or usable[:1]))


@contextlib.contextmanager
def pin_to_cores(to: frozenset[int]) -> Iterator[None]:
    """Run processes that are started inside on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def clean_environment() -> dict[str, str]:
    """An environment without the caller's settings, so that runs are comparable."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


@dataclass(frozen=True)
class Program:
    """How to start a server: `{port}` in the command becomes a free port."""

    name: str
    command: Sequence[str]
    ready_path: str
    env: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ("bench",)
    cwd: Path = ROOT


@dataclass(frozen=True)
class Server:
    """A server that answers at `url`; `pids` is the root of its process tree."""

    name: str
    url: str
    pids: tuple[int, ...]
    keys: tuple[str, ...]

    def cpu_seconds(self) -> float:
        return measure.cpu_seconds(self.pids)

    def peak_mb(self) -> float:
        return measure.peak_mb(self.pids)


class NotStartedError(RuntimeError):
    """A server ended or did not answer; the message has the end of its log."""


@contextlib.contextmanager
def run_server(program: Program, where: frozenset[int]) -> Iterator[Server]:
    """Start a server, wait until it answers, stop it at the end.

    Its log stays in build/bench. Raises NotStartedError.
    """
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in program.command]
    LOG_DIR.mkdir(parents=True, exist_ok=True)
    log = LOG_DIR / f"{program.name}.log"
    with pin_to_cores(where), log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=program.cwd,
            env={**clean_environment(), **program.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_ready(process, url + program.ready_path, log)
        yield Server(program.name, url, (process.pid,), program.keys)
    finally:
        stop(process)


def _wait_ready(process: subprocess.Popen, url: str, log: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        if _answers(url):
            return
        time.sleep(0.2)
    tail = log.read_text(errors="replace")[-2000:]
    raise NotStartedError(f"{log.stem} did not answer at {url}:\n{tail}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:  # HTTP errors are OSErrors too
        return False


def stop(process: subprocess.Popen) -> None:
    """SIGTERM, then SIGKILL after the 35 s that a clean shutdown may take."""
    process.terminate()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def uvicorn(app: str, workers: int = 1, *more: str) -> list[str]:
    """The command as in production, with explicit defaults; `more` overrides them."""
    return serve.command(
        *("--host", "127.0.0.1", "--port", "{port}"),
        *("--loop", "uvloop", "--workers", str(workers), "--log-level", "warning"),
        *more,
        application=app,
    )


def floor(upstream: str) -> Program:
    """The bare ASGI forwarder."""
    env = {"BENCH_UPSTREAM": upstream}
    return Program(
        "floor",
        uvicorn("bench.forwarder:app", 1, "--http", "httptools"),
        "/v1/models",
        env,
    )


def collector() -> Program:
    """The collector of traces."""
    command = uvicorn("bench.collector:app", 1, "--http", "httptools")
    return Program("collector", command, "/")


def upstream() -> Program:
    """The fake upstream: answers always the same, at once or as the model's name says."""
    command = [
        sys.executable,
        "-m",
        "tests.fault_provider",
        "--port",
        "{port}",
    ]
    return Program("upstream", command, "/v1/models")
