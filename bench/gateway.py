"""Starts this gateway as in production: one worker on PostgreSQL and Redis."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench import servers
from bench.servers import Cores, Program, Server
from valuecanvas.embedded import postgres, valkey

KEYS = 32
SETTINGS = (
    f"ValueCanvas, one uvicorn worker in production mode; PostgreSQL with fsync on and "
    f"Valkey with its append-only file; {KEYS} customers with a key each, in 4 teams; "
    "a daily quota, and budgets on everyone, team, customer and key; JSON log line, "
    "metrics and a ledger row for each request"
)


@dataclass(frozen=True)
class Started:
    """The running gateway, its engines, and their URLs."""

    server: Server
    beside: tuple[Server, ...]
    database_url: str
    store_url: str
    environment: dict[str, str] = field(default_factory=dict, repr=False)

    def evaluation_us(self) -> float:
        """Microseconds of CPU for one flag evaluation in a process."""
        code = "from bench import evaluation; print(evaluation.microseconds())"
        return float(self.run_code(code))

    def run_code(self, code: str) -> str:
        """Run Python `code` in Django's shell; the last line that it prints."""
        text = _manage("shell", "--no-imports", "--command", code, env=self.environment)
        return text.splitlines()[-1]

    def ledger_rows(self) -> int:
        """The number of requests in the ledger."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM llm_usage").fetchone()
        return int(row[0]) if row else 0

    def stop_waiting_for_disk(self) -> None:
        """Turn PostgreSQL's fsync off, to measure the latency without the disk."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def ledger_note(self, answered: int, wait_s: float = 10.0) -> str:
        """Compare the ledger with the answers; streams may be settled a moment later."""
        until = time.monotonic() + wait_s
        while (rows := self.ledger_rows()) < answered and time.monotonic() < until:
            time.sleep(0.2)
        return f"{rows} ledger rows for {answered} right answers"


@contextlib.contextmanager
def run_gateway(
    upstream: str,
    cores: Cores,
    folder: Path,
    *,
    app: str = "valuecanvas.asgi:application",
    workers: int = 1,
    more: Mapping[str, str] | None = None,
) -> Iterator[Started]:
    """Start engines, migrate, seed and serve; stop everything at the end.

    `more` is added to the gateway's environment.

    Raises NotStartedError, EngineError, CalledProcessError.
    """
    with _engines(cores.around, folder) as (database, store):
        env = {**_environment(database.url, store.url, folder), **(more or {})}
        _manage("migrate", "--verbosity", "0", env=env)
        code = f"from bench import seed; seed.run({upstream!r}, {KEYS})"
        seeded = _manage("shell", "--no-imports", "--command", code, env=env)
        keys = tuple(json.loads(seeded.splitlines()[-1]))
        command = servers.uvicorn(app, workers)
        program = Program("gateway", command, "/health/ready", env, keys)
        with servers.run_server(program, cores.server) as server:
            yield Started(server, (database, store), database.url, store.url, env)


def run_on_engines(cores: Cores, folder: Path, code: str) -> str:
    """Run Python `code` on engines of its own, migrated; the last line that it prints."""
    with _engines(cores.around, folder) as (database, store):
        env = _environment(database.url, store.url, folder)
        _manage("migrate", "--verbosity", "0", env=env)
        printed = _manage("shell", "--no-imports", "--command", code, env=env)
    return printed.splitlines()[-1]


@contextlib.contextmanager
def _engines(where: frozenset[int], folder: Path) -> Iterator[tuple[Server, Server]]:
    home = folder / "postgres"
    with contextlib.ExitStack() as stack:
        # They stop with this process even if it is killed.
        with servers.pin_to_cores(where):
            database = postgres.start(home, attached=True)
            stack.callback(postgres.stop, database, home)
            store = valkey.start(folder / "valkey", attached=True)
            stack.callback(valkey.stop, store)
        yield (
            Server("postgres", database.url, (database.pid,), ()),
            Server("valkey", store.url, (store.pid,), ()),
        )


def _environment(database_url: str, store_url: str, folder: Path) -> dict[str, str]:
    return {
        "VALUECANVAS_ENV": "production",
        "VALUECANVAS_VAR": str(folder / "var"),
        "DJANGO_SETTINGS_MODULE": "valuecanvas.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": store_url,
        "CELERY_BROKER_URL": store_url,
        "ALLOWED_HOSTS": "127.0.0.1",
        # The upstream is on this machine.
        "LLM_ALLOW_HTTP_PROVIDERS": "on",
        # So is the receiver of alerts.
        "WEBHOOKS_ALLOW_HTTP": "on",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "KEY_PEPPER": secrets.token_urlsafe(32),
        "FIELD_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    }


def _manage(*arguments: str, env: dict[str, str]) -> str:
    """The command's output; its errors go to standard error."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=servers.ROOT,
        env={**servers.clean_environment(), **env},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout
