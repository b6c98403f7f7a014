"""PostgreSQL and Valkey of the fault cases' own, to be killed, stopped and started."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
from django.core.management import call_command
from django.db import connection, connections

from valuecanvas.embedded import postgres, processes, valkey
from valuecanvas.embedded.processes import Engine


@dataclass
class Engines:
    """Durable as in production: what was committed must survive a crash."""

    folder: Path
    pool: ThreadPoolExecutor
    postgres: Engine
    valkey: Engine

    def kill_valkey(self) -> None:
        """kill -9."""
        _end(self.valkey, signal.SIGKILL)

    def start_valkey(self) -> None:
        """At the same port and password, and empty."""
        self.valkey = start_valkey(self.folder)

    def freeze_valkey(self) -> None:
        """SIGSTOP: it takes connections and never answers."""
        os.kill(self.valkey.pid, signal.SIGSTOP)

    def thaw_valkey(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.valkey.pid, signal.SIGCONT)

    def crash_postgres(self) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, no goodbye.

        In the pool's thread, whose connection goes with it.
        """
        _end(self.postgres, signal.SIGQUIT)
        connections.close_all()

    def start_postgres(self) -> None:
        self.postgres = start_postgres(self.folder)

    def freeze_postgres(self) -> None:
        """SIGSTOP to all of it: its kernel takes connections, and nobody answers."""
        parent = psutil.Process(self.postgres.pid)
        parent.suspend()  # first: it would start what is missing
        _send(parent.children(recursive=True), psutil.Process.suspend)

    def thaw_postgres(self) -> None:
        parent = psutil.Process(self.postgres.pid)
        _send([*parent.children(recursive=True), parent], psutil.Process.resume)


def _send(
    them: list[psutil.Process], signalled: Callable[[psutil.Process], None]
) -> None:
    for process in them:
        with suppress(psutil.NoSuchProcess):
            signalled(process)


def start_postgres(folder: Path) -> Engine:
    return postgres.start(folder / "postgres", durable=True, attached=True)


def start_valkey(folder: Path) -> Engine:
    return valkey.start(folder / "valkey", durable=False, attached=True)


def _end(engine: Engine, number: signal.Signals) -> None:
    os.kill(engine.pid, number)
    if engine.process is not None:
        with suppress(subprocess.TimeoutExpired):
            engine.process.wait(30)
    assert processes.wait_gone(engine.pid, 30), f"{engine.name} did not go."


@contextmanager
def own_engines(folder: Path) -> Iterator[Engines]:
    """Both engines with an empty, migrated database, and a thread that talks to it."""
    with ThreadPoolExecutor(1) as pool:
        made = Engines(folder, pool, start_postgres(folder), start_valkey(folder))
        try:
            pool.submit(_connect, made.postgres.url).result()
            pool.submit(call_command, "migrate", verbosity=0).result()
            yield made
        finally:
            made.thaw_valkey()
            pool.submit(connections.close_all).result()
            valkey.stop(made.valkey)
            postgres.stop(made.postgres, folder / "postgres")


def _connect(url: str) -> None:
    """From now on this thread's Django connection is to the server of `url`."""
    parts = urlsplit(url)
    own = connections.create_connection("default")
    own.settings_dict = {
        **connection.settings_dict,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": unquote(parts.password or ""),
        "NAME": parts.path[1:],
    }
    connections["default"] = own
