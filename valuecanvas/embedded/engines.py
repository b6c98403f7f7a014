"""Starts and stops the engines of a data folder, which several processes share.

Each process holds a shared lock on `engines.users` while it uses them. The last one to
release it stops them, so a command beside `make run` neither starts nor stops anything.
The kernel releases the lock of a killed process; its running engines are taken over.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from valuecanvas.embedded import postgres, valkey
from valuecanvas.embedded.app_role import ensure_app_role
from valuecanvas.embedded.processes import Engine
from valuecanvas.embedded.state_files import exclusive_lock, private_folder, write_json

DATABASE = "database"
STORE = "redis"
ALL = frozenset({DATABASE, STORE})
Say = Callable[[str], None]


@dataclass
class Engines:
    """What this process uses in the data folder `var`."""

    var: Path
    say: Say
    running: dict[str, Engine] = field(default_factory=dict)

    def ensure(self, wanted: frozenset[str]) -> None:
        """Take over or start the engines `wanted`, and write `engines.json`."""
        for kind in sorted(wanted):
            self.running[kind] = self._find(kind) or self._start(kind)
        found = {
            kind: self.running.get(kind) or self._find(kind) for kind in sorted(ALL)
        }
        alive = {kind: engine for kind, engine in found.items() if engine}
        urls = {f"{kind}_url": engine.url for kind, engine in alive.items()}
        if DATABASE in alive:
            state = self.folder(DATABASE) / "engine.json"
            urls["database_url"] = ensure_app_role(alive[DATABASE].url, state)
        pids = {f"{kind}_pid": engine.pid for kind, engine in alive.items()}
        write_json(self.var / "engines.json", {**urls, **pids})

    def stop(self) -> None:
        """Stop all engines of the data folder, also those of other processes."""
        (self.var / "engines.json").unlink(missing_ok=True)
        store = self.running.pop(STORE, None) or self._find(STORE)
        if store:
            valkey.stop(store)
        database = self.running.pop(DATABASE, None) or self._find(DATABASE)
        if database:
            postgres.stop(database, self.folder(DATABASE))

    def folder(self, kind: str) -> Path:
        return self.var / {DATABASE: "postgres", STORE: "valkey"}[kind]

    def _find(self, kind: str) -> Engine | None:
        find = {DATABASE: postgres.find, STORE: valkey.find}[kind]
        return find(self.folder(kind))

    def _start(self, kind: str) -> Engine:
        start = {DATABASE: postgres.start, STORE: valkey.start}[kind]
        return start(self.folder(kind))


@contextmanager
def run_engines(var: Path, wanted: frozenset[str], say: Say) -> Iterator[Engines]:
    """Keep the wanted engines of `var` running during the block.

    Raises EngineError with the remedy when one cannot be had.
    """
    engines = Engines(private_folder(var), say)
    users = _open(var / "engines.users")
    try:
        with exclusive_lock(var / "engines.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            engines.ensure(wanted)
        yield engines
    finally:
        with exclusive_lock(var / "engines.lock"):
            if _is_last(users):
                engines.stop()
            else:
                say("The engines keep running: another process still uses them.")
        os.close(users)


def _open(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
