"""Rehearsals: restores a backup for trial, and checks the copy as the product uses it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from valuecanvas.backups import encryption
from valuecanvas.backups.creation import KEY_SETTINGS
from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.backups.repository import REHEARSAL, BackupRepository, work_folder
from valuecanvas.backups.types import (
    BackupSummary,
    Contents,
    Progress,
    Rehearsal,
    RehearsalStep,
    quiet,
)

# The command of the copy's checks; each line of its output is a step.
COMMAND = "check_restored"


@dataclass
class _Steps:
    progress: Progress
    done: list[RehearsalStep] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, detail: str) -> Iterator[None]:
        """One step: a BackupError in the block makes it a failed one, and ends all."""
        self.progress(name, 0, 0)
        started = time.monotonic()
        try:
            yield
        except BackupError as error:
            self._add(name, str(error), started, ok=False)
            raise
        self._add(name, detail, started, ok=True)

    def _add(self, name: str, detail: str, started: float, *, ok: bool) -> None:
        seconds = round(time.monotonic() - started, 1)
        self.done.append(RehearsalStep(name, ok, detail, seconds))


def rehearse(
    repository: BackupRepository,
    name: str,
    connection: psycopg.Connection,
    progress: Progress = quiet,
) -> Rehearsal:
    """Restore `name` into a database of its own, check it, and store the result.

    `connection` holds the lock of backups. Raises DamagedBackup if the summary cannot be
    read: with another key nothing is found out. Raises BackupError if the result cannot be
    had or stored; else see its steps.
    """
    summary = repository.summary(name)
    steps = _Steps(progress)
    try:
        with (
            work_folder() as folder,
            databases.scratch_database(connection, client_programs.server()) as copy,
        ):
            _check(repository, summary, copy, folder, steps)
    except BackupError:
        if not steps.done or steps.done[-1].ok:
            raise
    result = Rehearsal(
        name, datetime.now(UTC), encryption.recipient(), tuple(steps.done)
    )
    repository.put_document(name, REHEARSAL, result.document())
    return result


def _check(
    repository: BackupRepository,
    summary: BackupSummary,
    copy: dict[str, Any],
    folder: Path,
    steps: _Steps,
) -> None:
    detail = f"{summary.size:,} bytes, SHA-256 as written"
    with steps.step("Restore into an empty database", detail):
        contents = databases.load(repository, summary, copy, folder, steps.progress)
    detail = f"{summary.tables} tables, {summary.rows:,} rows, each hash as in the dump"
    with steps.step("Compare with the snapshot", detail):
        databases.compare(contents, copy, steps.progress)
    with steps.step("Key material", "it has all keys that it needs"):
        environment = {**os.environ, **application_keys(summary, contents)}
    environment |= {
        "DATABASE_URL": databases.url(copy),
        "REDIS_URL": settings.REDIS_URL,
        # Apart from the state of the gateway in use: its snapshot on disk, too.
        "REDIS_PREFIX": f"{settings.REDIS_PREFIX}-rehearsal",
        "VALUECANVAS_VAR": str(folder / "var"),
        "JOURNAL_DIR": str(folder / "journal"),
        "LLM_ALLOW_HTTP_PROVIDERS": "on",
        "LOG_LEVEL": "error",
        # The copy is cold, and the machine may be busy.
        **dict.fromkeys(("DB_LOCK_TIMEOUT_MS", "DB_STATEMENT_TIMEOUT_MS"), "60000"),
        "LLM_ADMIT_TIMEOUT_S": "60",
    }
    with steps.step("Bring it to this version", "migrated"):
        run_manage("migrate", environment, folder)
    with steps.step("Use it in a process of its own", "it started"):
        lines = run_manage(COMMAND, environment, folder)
    steps.done += [RehearsalStep(**json.loads(line)) for line in lines]


def application_keys(summary: BackupSummary, contents: Contents) -> dict[str, str]:
    """The settings with which the copy can be used. Raises BackupError."""
    if contents.keys:
        return contents.keys
    ours = {key: str(getattr(settings, key)) for key in KEY_SETTINGS}
    lost = [
        key
        for key, value in ours.items()
        if encryption.fingerprint(value) != summary.fingerprints[key]
    ]
    if lost:
        raise BackupError(
            f"It was made without its keys, and needs those of its time: "
            f"{', '.join(lost)} here are others. Set them to the old values."
        )
    return ours


def run_manage(command: str, environment: dict[str, str], folder: Path) -> list[str]:
    """Run a management command in a process of its own; the lines that it prints.

    Raises BackupError with the end of its messages if it fails.
    """
    # NAME_FILE must not compete with NAME.
    clean = {
        name: value
        for name, value in environment.items()
        if name.removesuffix("_FILE") == name
        or name.removesuffix("_FILE") not in environment
    }
    with (folder / "manage.log").open("w+b") as messages:
        done = subprocess.run(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            env=clean,
            check=False,
        )
        if done.returncode != 0:
            raise BackupError(f"{command} failed: {client_programs.end_of(messages)}")
    return done.stdout.decode().splitlines()
