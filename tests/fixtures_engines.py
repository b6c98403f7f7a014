"""Throw-away PostgreSQL and Valkey for the tests, before Django's settings are read.

A pytest plugin (`-p tests.fixtures_engines`). TEST_DATABASE_URL and TEST_REDIS_URL name
running servers to use instead. Under xdist the controller starts the engines, and the
workers inherit the environment.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from valuecanvas.embedded import postgres, valkey
from valuecanvas.embedded.processes import Engine

PREFIX = "valuecanvas-test-"
STASH = pytest.StashKey["Engines"]()


@dataclass
class Engines:
    """What one test run has started; empty in an xdist worker."""

    folder: Path | None = None
    lock: int | None = None
    postgres: Engine | None = None
    valkey: Engine | None = None
    before: dict[str, str | None] = field(default_factory=dict)


def start_engines() -> Engines:
    """Start what is not configured, and export the URLs to this process."""
    engines = Engines()
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        _keep_apart(worker)
        return engines
    atexit.register(stop_engines, engines)
    _sweep()
    engines.folder, engines.lock = _folder()
    urls = {
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
    }
    _start_missing(engines, engines.folder, urls)
    exported = {
        **urls,
        "CELERY_BROKER_URL": urls["REDIS_URL"],
        "VALUECANVAS_ENV": "test",
        "VALUECANVAS_VAR": str(engines.folder / "var"),
    }
    for name, value in exported.items():
        engines.before[name] = os.environ.get(name)
        os.environ[name] = value
    return engines


def _keep_apart(worker: str) -> None:
    """A Redis database and a data folder for each worker of pytest-xdist.

    Clearing Django's cache flushes the whole Redis database, and the heirs of a worker's
    dead processes must not find those of another worker's PostgreSQL database.
    """
    number = 1 + int(worker.removeprefix("gw"))
    for name in ("REDIS_URL", "CELERY_BROKER_URL"):
        url = urlsplit(os.environ[name])
        os.environ[name] = url._replace(path=f"/{number % 16}").geturl()
    os.environ["VALUECANVAS_VAR"] += f"-{worker}"


def stop_engines(engines: Engines) -> None:
    """End what was started and delete its folder; a second call does nothing."""
    if engines.postgres and engines.folder:
        postgres.stop(engines.postgres, engines.folder / "postgres")
        engines.postgres = None
    if engines.valkey:
        valkey.stop(engines.valkey)
        engines.valkey = None
    if engines.folder:
        shutil.rmtree(engines.folder, ignore_errors=True)
        engines.folder = None
    if engines.lock is not None:
        os.close(engines.lock)
        engines.lock = None
    while engines.before:
        name, value = engines.before.popitem()
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _start_missing(engines: Engines, folder: Path, urls: dict[str, str]) -> None:
    # Leashed: they go with this process even if it is killed.
    if not urls["DATABASE_URL"]:
        home = folder / "postgres"
        engines.postgres = postgres.start(home, durable=False, attached=True)
        urls["DATABASE_URL"] = engines.postgres.url
    if not urls["REDIS_URL"]:
        home = folder / "valkey"
        engines.valkey = valkey.start(home, durable=False, attached=True)
        urls["REDIS_URL"] = engines.valkey.url


def _folder() -> tuple[Path, int]:
    """A new folder, and the lock that tells other runs that it is in use."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    new = folder / "lock.new"
    lock = os.open(new, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    new.rename(folder / "lock")  # only now may another run's sweep see it
    return folder, lock


def _sweep() -> None:
    """Delete the folders of runs that were killed; their locks are free."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before pytest-django's own, which reads the settings."""
    options = early_config.known_args_namespace
    if not (options.help or options.version):
        early_config.stash[STASH] = start_engines()


def pytest_unconfigure(config: pytest.Config) -> None:
    if engines := config.stash.get(STASH, None):
        stop_engines(engines)
